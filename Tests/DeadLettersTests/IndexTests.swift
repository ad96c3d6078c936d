import Flotilla
import Kafka
import Model
import Platform
import Postgres
import TestServers
import TestSupport
import Testing

@testable import DeadLetters

/// The index in a real Postgres: what comes by the topics, and what becomes of it.
@Suite(.inTurns) struct IndexTests {
    private let family = TopicFamily("orders", "pricer")

    @Test func aDeadLetterGoesThroughItsStates() async throws {
        try await withIndex { index in
            let letter = letter(1)
            try await index.take(batch([letter], 0, 1))
            try await expect(index, letter, .open, replays: 0)

            // A replay that fails again, told by both ways in either order; the same told twice; an earlier copy again.
            var order = DeadLetterIndex.ReplayOrder(DeadLetterFilter(), confirmed: 1, who: "ada")
            order.canary = 1
            let job = try await index.replay(order)
            try await expect(index, letter, .replaying, replays: 1)
            try await index.take(batch([letter], 1, 2))
            try await expect(index, letter, .replaying, replays: 1)
            var again = letter
            (again.copyReplays, again.offset, again.copiedAt) = (1, 7, Timestamp(milliseconds: 9000))
            again.errorMessage = "again"
            try await index.take(batch([again], 2, 3))
            try await expect(index, letter, .open, replays: 1)
            let told = [(letter, job.id, 1, "dead:permanent"), (letter, job.id, 1, "repeat")] as [Told]
            try await index.take(outcomes(told, 3, 4))
            try await expect(index, letter, .open, replays: 1)
            #expect(try await index.job(job.id)?.failed == 1)
            #expect(try await index.find(letter.id)?.letter.errorMessage == "again")

            // One that is done.
            let second = try await index.replay(order)
            try await index.take(outcomes([(letter, job.id, 1, "done"), (letter, "other", 2, "done")], 4, 5))
            try await expect(index, letter, .replaying, replays: 2)
            try await index.take(outcomes([(letter, second.id, 2, "done")], 5, 6))
            try await expect(index, letter, .resolved, replays: 2)
            #expect(try await index.job(second.id)?.resolved == 1)
            #expect(
                try await index.groups(DeadLetterFilter(), limit: 9, now: now).map(\.counts) == [
                    [.open: 0, .replaying: 0, .replayed: 0, .resolved: 1, .discarded: 0, .expired: 0]
                ])
        }
    }

    @Test func whatIsTakenTwiceIsRefusedWhole() async throws {
        try await withIndex { index in
            try await index.take(batch([letter(1)], nil, 5))
            for (from, to) in [(nil, 5), (0, 6), (4, 6)] as [(Int64?, Int64)] {
                await #expect(throws: Overtaken.self) { try await index.take(batch([letter(2)], from, to)) }
            }
            #expect(try await index.count(DeadLetterFilter()) == 1)
            #expect(try await index.positions() == [TopicPartition("orders.pricer.dlq", 0): 5])
        }
    }

    @Test func ofTwoWhoChooseTheSameTheSecondGetsWhatTheFirstLeft() async throws {
        try await withIndex { index in
            try await index.take(batch((0..<50).map { letter($0) }, nil, 50))
            let order = DeadLetterIndex.ReplayOrder(DeadLetterFilter(), confirmed: 50, who: "ada")
            let made = await withTaskGroup(of: ReplayJob?.self) { group in
                for _ in 0..<4 { group.addTask { try? await index.replay(order) } }
                return await group.reduce(into: [ReplayJob]()) { if let job = $1 { $0.append(job) } }
            }
            #expect(made.map(\.total) == [50])
            // Cancelled, all are as before; what is confirmed may not be exceeded.
            _ = try await index.change(try #require(made.first).id, .cancel, who: "ada")
            #expect(try await index.counts().filter { $0.value > 0 } == [.open: 50])
            await #expect(throws: Refused.self) {
                try await index.discard(DeadLetterFilter(), confirmed: 49, who: "ada")
            }
            #expect(try await index.find(letter(3).id)?.replays == 0)
            #expect(try await index.discard(DeadLetterFilter(), confirmed: 50, who: "ada") == 50)
            await #expect(throws: Refused.self) { try await index.replay(order) }
            #expect(try await index.restore(DeadLetterFilter(), confirmed: 50, who: "ada") == 50)
            #expect(try await index.audit(limit: 9).map(\.verb) == ["restore", "discard", "jobs cancel", "replay"])
        }
    }

    @Test func filtersAndPagesFindWhatTheyShould() async throws {
        try await withIndex { index in
            try await index.take(batch((0..<100).map { letter($0) }, nil, 100))
            var seen: [UUIDValue] = []
            var place: DeadLetterIndex.Place?
            while true {
                let page = try await index.list(DeadLetterFilter(), limit: 7, after: place)
                guard let last = page.last else { break }
                seen += page.map(\.letter.id)
                place = DeadLetterIndex.Place(at: last.letter.at, id: last.letter.id)
            }
            #expect(seen.count == 100 && Set(seen).count == 100)
            for _ in 0..<200 {
                var filter = DeadLetterFilter()
                if Bool.random() { filter.key = "k\(Int.random(in: 0..<12))" }
                if Bool.random() { filter.type = ["a", "b", "c"].randomElement() }
                if Bool.random() { filter.since = Timestamp(milliseconds: Int64.random(in: 0...4000)) }
                if Bool.random() { filter.until = Timestamp(milliseconds: Int64.random(in: 0...4000)) }
                if Bool.random() { filter.ids = (0..<20).map { letter($0).id } }
                if Bool.random() { filter.fingerprint = ["f0", "f1", "none"].randomElement() }
                let wanted = Set((0..<100).map { letter($0) }.filter { filter.fits($0) }.map(\.id))
                let found = try await index.list(filter, limit: 1000).map(\.letter.id)
                #expect(Set(found) == wanted && found.count == wanted.count, "\(filter.json)")
                #expect(try await index.count(filter) == wanted.count, "\(filter.json)")
                let groups = try await index.groups(filter, limit: 10, now: now)
                #expect(groups.reduce(0) { $0 + $1.total } == wanted.count, "\(filter.json)")
            }
        }
    }

    @Test func hoursAreCountedAsTheirEntriesAre() async throws {
        try await withIndex { index in
            let letters = (0..<120).map { number in
                var letter = letter(number)
                letter.at = Timestamp(milliseconds: Int64(number) * 7 * 60_000)
                return letter
            }
            try await index.take(batch(letters, nil, 120))
            var some = DeadLetterFilter()
            some.ids = letters.filter { $0.offset.rawValue % 3 == 0 }.map(\.id)
            #expect(try await index.discard(some, confirmed: 40, who: "ada") == 40)
            // A later copy moves from its hour into another one.
            var moved = letters[5]
            (moved.at, moved.copyReplays) = (Timestamp(milliseconds: 10 * 3_600_000), 1)
            try await index.take(batch([moved], 120, 121))
            var all = letters
            all[5] = moved
            for _ in 0..<200 {
                var filter = DeadLetterFilter()
                let hours = Int64.random(in: 1...3) * 600_000
                if Bool.random() { filter.since = Timestamp(milliseconds: Int64.random(in: 0...100) * hours) }
                if Bool.random() { filter.until = Timestamp(milliseconds: Int64.random(in: 0...100) * hours) }
                if Bool.random() { filter.type = ["a", "b"].randomElement() }
                let fitting = all.filter { filter.fits($0) }
                #expect(try await index.count(filter) == fitting.count, "\(filter.json)")
                let groups = try await index.groups(filter, limit: 10, now: now)
                #expect(groups.reduce(0) { $0 + $1.total } == fitting.count, "\(filter.json)")
                let aside = fitting.count { $0.offset.rawValue % 3 == 0 }
                #expect(groups.reduce(0) { $0 + ($1.counts[.discarded] ?? 0) } == aside, "\(filter.json)")
            }
        }
    }

    @Test func onlyOneHoldsTheLease() async throws {
        try await withIndex { index in
            let first = try #require(try await WorkLease.take(index, for: "a"))
            #expect(try await WorkLease.take(index, for: "b") == nil)
            try await first.renew()
            await first.release()
            let second = try #require(try await WorkLease.take(index, for: "b"))
            #expect(second.generation > first.generation)
            await #expect(throws: Overtaken.self) { try await first.renew() }
            await #expect(throws: Overtaken.self) { try await index.change { try await first.check($0) } }
        }
    }

    // MARK: What is needed

    private let now = Timestamp(milliseconds: 5000)

    private func letter(_ number: Int) -> DeadLetter {
        let source = SourceCoordinates(topic: "orders", partition: 0, offset: Offset(Int64(number)))
        return DeadLetter(
            id: source.deadLetterID(for: "pricer"), family: family, partition: 0, offset: Offset(Int64(number)),
            source: source, reason: "permanent", fingerprint: "f\(number % 2)", errorType: "Refusal",
            errorMessage: "no tax", stage: "handle", type: ["a", "b"][number % 2], eventID: "e\(number)",
            eventSource: "/shop", key: number % 5 == 0 ? nil : "k\(number % 10)", attempts: 1,
            firstFailed: Timestamp(milliseconds: 1000), at: Timestamp(milliseconds: 1000 + Int64(number / 3) * 50),
            copiedAt: Timestamp(milliseconds: 2000), copyReplays: 0, isShed: false)
    }

    private func batch(_ letters: [DeadLetter], _ from: Int64?, _ to: Int64) -> IndexBatch {
        var batch = IndexBatch()
        batch.positions[TopicPartition("orders.pricer.dlq", 0)] = (
            from.flatMap { $0 == 0 ? nil : Offset($0) }, Offset(to)
        )
        for letter in letters { batch.add(letter) }
        return batch
    }

    private typealias Told = (DeadLetter, job: String, replays: Int64, what: String)

    private func outcomes(
        _ told: [Told], _ from: Int64, _ to: Int64
    ) -> IndexBatch {
        var batch = batch([], from, to)
        for (letter, job, replays, what) in told {
            batch.add(
                ReplayOutcome(
                    round: .init(id: letter.id, job: job, replays: replays), outcome: what,
                    at: Timestamp(milliseconds: Time.wallMilliseconds)))
        }
        return batch
    }

    private func expect(
        _ index: DeadLetterIndex, _ letter: DeadLetter, _ state: DeadLetterState, replays: Int64,
        at place: SourceLocation = #_sourceLocation
    ) async throws {
        let found = try await index.find(letter.id)
        #expect(
            found?.state == state && found?.replays == replays, "\(String(describing: found))", sourceLocation: place)
    }
}
