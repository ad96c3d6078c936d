import Flotilla
import Kafka
import Model
import Platform
import Postgres
import TestServers
import Testing

@testable import DeadLetters

/// Rewinds in the index: which records a job reads again, piece by piece, and in which round.
@Suite struct RewindTests {
    private let family = TopicFamily("orders", "pricer")

    @Test func aRewindReadsItsRangesOnceAndLeavesDeadLetters() async throws {
        try await withIndex { index in
            // One that is open, one that was resolved after its second replay.
            var batch = IndexBatch()
            batch.positions["orders.pricer.dlq", 0] = (nil, 2)
            for (offset, replays) in [(12, 0), (13, 2)] as [(Int64, Int64)] {
                var letter = DeadLetter(rewinding: family, 0, Offset(offset))
                (letter.reason, letter.copyReplays) = ("permanent", replays)
                batch.add(letter)
            }
            try await index.take(batch)
            try await index.pool.transaction { transaction in
                transaction.later("UPDATE entries SET state = 'resolved' WHERE src_offset = 13")
            }
            var order = DeadLetterIndex.RewindOrder(
                "pricer",
                [
                    .init(family, 0, 10, past: 17), .init(family, 1, 5, past: 5), .init(family, 2, 0, past: 3),
                ], DeadLetterFilter(), who: "ada")
            let job = try await index.rewind(order)
            #expect(job.total == 10 && job.isRewind && job.state == .waiting)
            var (read, rounds): ([TopicPartition: [Int64]], Set<Int64>) = ([:], [])
            var numbers: [Int64] = []
            for _ in 0..<10 {
                let items = try await index.change { try await index.nextRewound(job, limit: 3, $0) }
                guard let first = items.first else { break }
                #expect(items.allSatisfy { $0.letter.partition == first.letter.partition && $0.sentFrom == nil })
                read[TopicPartition("orders", first.letter.partition), default: []] += items.map(
                    \.letter.offset.rawValue)
                rounds.formUnion(items.map(\.round))
                numbers += items.map(\.number)
            }
            #expect(
                read == [
                    TopicPartition("orders", 0): [10, 11, 13, 14, 15, 16], TopicPartition("orders", 2): [0, 1, 2],
                ])
            #expect(Set(numbers).count == 9)
            // Above every round that a record of the handler has had; the next rewind's is above this one's.
            #expect(rounds == [3])
            #expect(try await index.job(job.id)?.skipped == 1)
            let next = try await index.rewind(order)
            let items = try await index.change { try await index.nextRewound(next, limit: 1, $0) }
            #expect(items.map(\.round) == [4])

            // What it tells of a round of its own does nothing to the dead letter.
            var told = IndexBatch()
            told.positions["orders.pricer.dlq", 0] = (2, 3)
            let id = DeadLetter(rewinding: family, 0, 13).id
            told.add(
                ReplayOutcome(
                    round: .init(id: id, job: job.id, replays: 3), outcome: "repeat", at: Timestamp(milliseconds: 0)))
            try await index.take(told)
            #expect(try await index.find(id)?.state == .resolved)
            #expect(try await index.job(job.id)?.resolved == 1)
            #expect(try await index.job(job.id)?.repeats == 1)

            order.ranges = [.init(family, 1, 5, past: 5)]
            let nothing = order
            await #expect(throws: Refused.self) { try await index.rewind(nothing) }
            #expect(try await index.audit(limit: 9).map(\.verb) == ["rewind", "rewind"])
        }
    }

    /// One that nobody has handled and whose copy is gone is no repeat: it goes as the replay that cannot be any more.
    @Test func whatDiedAndHasExpiredIsNoRepeat() async throws {
        try await withIndex { index in
            let letters = (0..<3).map { TestLetters.letter($0) }
            try await index.take(TestLetters.batch(letters))
            try await index.run("UPDATE entries SET state = 'expired' WHERE src_offset = 1")
            let job = try await index.rewind(
                .init("pricer", [.init(family, 0, 0, past: 5)], DeadLetterFilter(), who: "ada"))
            let items = try await index.change { try await index.nextRewound(job, limit: 9, $0) }
            #expect(items.map(\.letter.offset) == [1, 3, 4] && items.map(\.hasDied) == [true, false, false])
            #expect(try await index.states() == [.open: 2, .replaying: 1])
            // After a crash too.
            let rows = try await index.pool.transaction { transaction in
                try await transaction.query(
                    "SELECT \(ReplayItem.columns) FROM items i \(ReplayItem.join) WHERE i.outcome IS NULL ORDER BY i.number"
                )
            }
            #expect(try rows.map { try ReplayItem($0).hasDied } == [true, false, false])
            try await index.take(TestLetters.batch(from: 1, told: [(letters[1], job.id, 1, "done")]))
            #expect(try await index.states() == [.open: 2, .resolved: 1])
            #expect(try await index.job(job.id)?.resolved == 1)
        }
    }

    @Test(arguments: [
        // The last fifty, or what there is of a job; a fifth may fail.
        (0, 50, 1000, false), (10, 50, 1000, false), (11, 50, 1000, true),
        (2, 10, 1000, false), (3, 10, 1000, true), (9, 9, 1000, false),
        (5, 5, 10, true), (4, 4, 10, false), (1, 5, 10, false), (2, 2, 4, true), (1, 1, 2, false), (1, 1, 1, false),
    ]) func itStopsWhenTooManyFail(_ failed: Int, _ ended: Int, _ total: Int, _ isHopeless: Bool) {
        #expect(ReplayJob.isHopeless(failed: failed, of: ended, total: total) == isHopeless)
    }
}

extension [TopicPartition: (from: Offset?, to: Offset)] {
    fileprivate subscript(topic: TopicName, partition: Partition) -> (from: Offset?, to: Offset)? {
        get { self[TopicPartition(topic, partition)] }
        set { self[TopicPartition(topic, partition)] = newValue }
    }
}
