import Flotilla
import Kafka
import Model
import Platform
import Postgres
import TestServers
import TestSupport
import Testing

@testable import DeadLetters

/// What whoever replays does with the index: chooses, notes, ends jobs, and gives up what nobody tells of.
@Suite(.inTurns) struct ReplayRunnerTests {
    private let letter = { TestLetters.letter($0) }

    @Test func oneThatHasLostItsLeaseNotesNothing() async throws {
        try await withIndex { index in
            try await index.take(TestLetters.batch((0..<3).map(letter)))
            let job = try await index.replay(.init(DeadLetterFilter(), confirmed: 3, who: "ada"))
            let lease = try #require(try await WorkLease.take(index, for: "a"))
            let runner = index.runner(lease)
            let press = try await press(runner)
            let (_, items) = try #require(try await runner.choose(job, press))
            #expect(items.count == 3)
            await lease.release()
            let successor = index.runner(try #require(try await WorkLease.take(index, for: "b")))
            for outcome in [ReplayPress.Outcome(left: items, fault: "gone"), .init(published: items)] {
                await #expect(throws: Overtaken.self) { try await runner.note(outcome, job) }
            }
            #expect(try await index.job(job.id)?.state == .running)
            // All are its successor's to look for.
            #expect(try await successor.choose(job, press) == nil)
            try await successor.note(.init(published: items, offsets: [1: 7]), job)
            #expect(try await index.states() == [.replayed: 3])
            // Whatever unsaid that they were sent.
            try await index.run("UPDATE items SET sent_at = NULL")
            try await index.run("UPDATE jobs SET state = 'running'")
            #expect(try await successor.choose(job, press) == nil)
            await close(press)
        }
    }

    @Test func onlyWhatIsReadAndWrittenTogetherGoesTogether() async throws {
        try await withIndex { index in
            // A stranger's lies in another partition than the one it says that it is from.
            let letters = [
                letter(0), TestLetters.letter(1, partition: 0, from: 1), TestLetters.letter(2, partition: 1, from: 1),
            ]
            try await index.take(TestLetters.batch(letters))
            let job = try await index.replay(.init(DeadLetterFilter(), confirmed: 3, who: "ada"))
            let runner = index.runner(try #require(try await WorkLease.take(index, for: "a")))
            let press = try await press(runner)
            var chosen: [[Int64]] = []
            while let (_, items) = try await runner.choose(job, press) {
                chosen.append(items.map(\.letter.source.offset.rawValue))
                try await runner.note(.init(published: items), job)
            }
            #expect(chosen == [[0], [1], [2]])
            await close(press)
        }
    }

    @Test func jobsThatWaitForAnEndStandInNobodysWay() async throws {
        try await withIndex { index in
            let runner = index.runner(try #require(try await WorkLease.take(index, for: "a")))
            try await index.run(
                """
                INSERT INTO jobs (id, made_by, filter, to_source, rate, canary, state, total, published, canary_passed, resolved)
                SELECT 'old' || n, 'ada', '{}', false, 100, 5, CASE WHEN n % 2 = 0 THEN 'finishing' ELSE 'canary' END,
                    10, CASE WHEN n % 2 = 0 THEN 10 ELSE 5 END, n % 2 = 0, CASE WHEN n = 2 THEN 10 ELSE 4 END
                FROM generate_series(1, 3000) n
                """)
            try await index.take(TestLetters.batch([letter(0)]))
            let job = try await index.replay(.init(DeadLetterFilter(), confirmed: 1, who: "ada"))
            #expect(try await runner.active().map(\.id) == [job.id])
            try await runner.finish()
            #expect(try await index.job("old2")?.state == .done)
            #expect(try await index.job("old4")?.state == .finishing)
            // A canary that has ended is judged.
            try await index.run("UPDATE jobs SET resolved = 5 WHERE id = 'old3'")
            #expect(Set(try await runner.active().map(\.id)) == [job.id, "old3"])
        }
    }

    /// What was passed over says nothing of the others, however much of it there is.
    @Test func aCanaryIsJudgedByWhatWasHandled() async throws {
        try await withIndex { index in
            try await index.take(TestLetters.batch((0..<6).map(letter)))
            var order = DeadLetterIndex.ReplayOrder(DeadLetterFilter(), confirmed: 6, who: "ada")
            order.canary = 2
            let job = try await index.replay(order)
            let runner = index.runner(try #require(try await WorkLease.take(index, for: "a")))
            let press = try await press(runner)
            let (_, first) = try #require(try await runner.choose(job, press))
            #expect(first.count == 2)
            try await runner.note(.init(refused: first.map { ($0, "too large") }), job)
            #expect(try await runner.active().map(\.id) == [job.id])
            let (_, second) = try #require(try await runner.choose(job, press))
            #expect(second.count == 2)
            #expect(try await index.job(job.id)?.canaryPassed == false)
            try await runner.note(.init(published: second), job)
            #expect(try await runner.choose(job, press) == nil, "it waits for what becomes of them")
            let told = second.map { (letter($0.letter.source.offset.rawValue), job.id, Int64(1), "done") }
            try await index.take(TestLetters.batch(from: 1, told: told))
            let (_, third) = try #require(try await runner.choose(job, press))
            #expect(third.count == 2)
            #expect(try await index.job(job.id)?.canaryPassed == true)
            await close(press)
        }
    }

    /// Nothing is left to judge by, and nothing to send.
    @Test func aCanaryOfWhichAllIsPassedOverEnds() async throws {
        try await withIndex { index in
            try await index.take(TestLetters.batch((0..<2).map(letter)))
            var order = DeadLetterIndex.ReplayOrder(DeadLetterFilter(), confirmed: 2, who: "ada")
            order.canary = 2
            let job = try await index.replay(order)
            let runner = index.runner(try #require(try await WorkLease.take(index, for: "a")))
            let press = try await press(runner)
            let (_, items) = try #require(try await runner.choose(job, press))
            try await runner.note(.init(refused: items.map { ($0, "too large") }), job)
            #expect(try await runner.choose(job, press) == nil)
            try await runner.finish()
            let after = try await index.job(job.id)
            #expect(after?.state == .done && after?.skipped == 2, "\(String(describing: after))")
            await close(press)
        }
    }

    @Test func oneThatCannotBePublishedIsOpenAndTheJobGoesOn() async throws {
        try await withIndex { index in
            try await index.take(TestLetters.batch((0..<3).map(letter)))
            let job = try await index.replay(.init(DeadLetterFilter(), confirmed: 3, who: "ada"))
            let runner = index.runner(try #require(try await WorkLease.take(index, for: "a")))
            let press = try await press(runner)
            let (_, items) = try #require(try await runner.choose(job, press))
            let outcome = ReplayPress.Outcome(
                published: [items[0]], gone: [(items[1], "gone")], refused: [(items[2], "large")])
            try await runner.note(outcome, job)
            #expect(try await index.states() == [.replayed: 1, .expired: 1, .open: 1])
            #expect(try await index.find(letter(2).id)?.replays == 0)
            #expect(
                try await index.troubles(of: job.id).map(\.outcome).sorted() == ["skipped: gone", "skipped: large"])
            try await index.take(TestLetters.batch(from: 1, told: [(letter(0), job.id, 1, "done")]))
            #expect(try await runner.choose(job, press) == nil)
            try await runner.finish()
            let after = try await index.job(job.id)
            #expect(after?.state == .done && after?.skipped == 2 && after?.resolved == 1)
            await close(press)
        }
    }

    /// What is replayed and whose end nobody tells is given up: by whoever says so, or when its topic has let go of it.
    @Test(arguments: [true, false]) func whatNobodyTellsOfIsGivenUp(_ bySomebody: Bool) async throws {
        try await withIndex { index in
            try await index.take(TestLetters.batch((0..<4).map(letter)))
            let job = try await index.replay(.init(DeadLetterFilter(), confirmed: 4, who: "ada"))
            let runner = index.runner(try #require(try await WorkLease.take(index, for: "a")))
            let press = try await press(runner)
            let (_, items) = try #require(try await runner.choose(job, press))
            try await runner.note(
                .init(published: items, offsets: Dictionary(items.map { ($0.number, Offset($0.number)) }) { $1 }), job)
            #expect(try await runner.choose(job, press) == nil)
            try await index.take(TestLetters.batch(from: 1, told: [(letter(0), job.id, 1, "done")]))
            #expect(try await index.states() == [.resolved: 1, .replayed: 3])
            let place = WaitingCopies.Place(family: TestLetters.family, toSource: false, partition: 0)
            if bySomebody {
                let later = Timestamp(milliseconds: Time.wallMilliseconds + 3_600_000)
                func giveUp(_ next: Offset, at: Timestamp) async throws -> DeadLetterIndex.GivenUp {
                    let mark = WaitingCopies.Mark(place: place, next: next, end: 9)
                    return try await index.giveUp(
                        DeadLetterFilter(), confirmed: 2, who: "ada", waiting: WaitingCopies(marks: [mark], at: at))
                }
                await #expect(throws: Refused.self) { try await giveUp(2, at: later) }
                // What was published after somebody looked is in nothing that was seen.
                await #expect(throws: Refused.self) { try await giveUp(4, at: Timestamp(milliseconds: 0)) }
                let given = try await giveUp(4, at: later)
                #expect(given.count == 2 && given.left == 1 && given.why.contains("Start pricer"), "\(given)")
            } else {
                let clerk = TopicFamily("orders", "clerk")
                let lows = [(TestLetters.family, Offset(4)), (clerk, 9)].map { family, low in
                    RetentionWatch.Low(family: family, partition: 0, offset: low)
                }
                // What could not be looked at is left.
                #expect(try await index.release(below: lows, but: WaitingCopies(marks: [])) == 0)
                let mark = WaitingCopies.Mark(place: place, next: 0, end: 0)
                #expect(try await index.release(below: lows, but: WaitingCopies(marks: [mark])) == 2)
            }
            #expect(try await index.states() == [.resolved: 1, .replayed: 1, .open: 2])
            #expect(try await index.job(job.id)?.skipped == 2)
            // It is told after all; of those that were not given up too.
            let told = [(letter(1), job.id, Int64(1), "done"), (letter(3), job.id, 1, "repeat")]
            try await index.take(TestLetters.batch(from: 2, told: told))
            #expect(try await index.states() == [.resolved: 3, .open: 1])
            try await runner.finish()
            #expect(try await index.job(job.id)?.state == .done)
            // And it is replayed again, in a round of its own.
            let again = try await index.replay(.init(DeadLetterFilter(), confirmed: 1, who: "ada"))
            let (_, next) = try #require(try await runner.choose(again, press))
            #expect(next.map(\.round) == [2])
            try await index.take(TestLetters.batch(from: 3, told: [(letter(2), job.id, 1, "done")]))
            #expect(try await index.find(letter(2).id)?.state == .replaying)
            await close(press)
        }
    }

    /// It was told done, and died after that by the clocks of those who handled it, however late the index reads of it.
    @Test(arguments: [true, false]) func whatDiesAfterItWasDoneIsOpen(_ isTheCopyFirst: Bool) async throws {
        try await withIndex { index in
            try await index.take(TestLetters.batch((0..<3).map(letter)))
            let job = try await index.replay(.init(DeadLetterFilter(), confirmed: 3, who: "ada"))
            let runner = index.runner(try #require(try await WorkLease.take(index, for: "a")))
            let press = try await press(runner)
            let (_, items) = try #require(try await runner.choose(job, press))
            try await runner.note(.init(published: items), job)
            let began = Time.wallMilliseconds - 3_600_000
            func told(_ outcome: String, _ number: Int64, after: Int64, _ from: Int64) -> IndexBatch {
                var batch = TestLetters.batch(from: from)
                batch.add(
                    ReplayOutcome(
                        round: .init(id: letter(number).id, job: job.id, replays: 1), outcome: outcome,
                        at: Timestamp(milliseconds: began + after)))
                return batch
            }
            func copy(_ number: Int64, after: Int64, _ from: Int64) -> IndexBatch {
                var copy = letter(number)
                (copy.copyReplays, copy.at) = (1, Timestamp(milliseconds: began + after))
                return TestLetters.batch([copy], from: from)
            }
            try await index.take(told("done", 0, after: 0, 1))
            try await index.take(told("done", 1, after: 5000, 2))
            try await index.take(told("done", 2, after: 5000, 3))
            #expect(try await index.states() == [.resolved: 3])
            let death = [
                copy(0, after: 10, isTheCopyFirst ? 4 : 5), told("dead:stale", 0, after: 10, isTheCopyFirst ? 5 : 4),
            ]
            for batch in isTheCopyFirst ? death : death.reversed() { try await index.take(batch) }
            // And one that died before it was done.
            try await index.take(copy(1, after: 10, 6))
            // Of one that died after it by a clock that is behind, its worker's word is enough.
            let late = [
                copy(2, after: -10, isTheCopyFirst ? 7 : 8),
                told("dead:stale", 2, after: 5001, isTheCopyFirst ? 8 : 7),
            ]
            for batch in isTheCopyFirst ? late : late.reversed() { try await index.take(batch) }
            #expect(try await index.find(letter(2).id)?.state == .open)
            #expect(try await index.find(letter(0).id)?.state == .open)
            #expect(try await index.find(letter(1).id)?.state == .resolved)
            let after = try await index.job(job.id)
            #expect(after?.resolved == 1 && after?.failed == 2 && after?.repeats == 0, "\(String(describing: after))")
            await close(press)
        }
    }

    /// An item that somebody else ends while what is told of it is on its way in.
    @Test func whatIsEndedMeanwhileIsNotCountedTwice() async throws {
        try await withIndex { index in
            try await index.take(TestLetters.batch([letter(0)]))
            let job = try await index.replay(.init(DeadLetterFilter(), confirmed: 1, who: "ada"))
            try await index.run("UPDATE entries SET state = 'replayed'")
            try await index.run("UPDATE items SET sent_at = now(), published_at = now(), published_offset = 0")
            let told = TestLetters.batch(from: 1, told: [(letter(0), job.id, 1, "done")])
            let taking = try await index.pool.transaction { transaction in
                _ = try await transaction.execute("UPDATE items SET outcome = 'skipped: nobody told its end'")
                let taking = Task { try await index.take(told) }
                try await eventually {
                    try await transaction.query(
                        "SELECT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
                    ).first != nil
                }
                _ = try await transaction.execute("UPDATE jobs SET skipped = skipped + 1")
                return taking
            }
            try await taking.value
            let after = try #require(try await index.job(job.id))
            #expect(after.skipped == 1 && after.resolved == 0 && after.failed == 0, "\(after)")
        }
    }

    @Test func whatWentToItsSourceIsForgottenAfterAll() async throws {
        try await withIndex { index in
            try await index.take(TestLetters.batch((0..<4).map(letter)))
            for (number, isToSource) in [(0, true), (1, false)] {
                var filter = DeadLetterFilter()
                filter.ids = [letter(Int64(number)).id]
                var order = DeadLetterIndex.ReplayOrder(filter, confirmed: 1, who: "ada")
                order.toSource = isToSource
                _ = try await index.replay(order)
            }
            try await index.run("UPDATE entries SET state = 'replayed' WHERE state = 'replaying'")
            #expect(try await index.forget(atMost: 10) == 0)
            try await index.run("UPDATE entries SET state_at = now() - interval '91 days'")
            try await index.run("UPDATE entries SET state = 'resolved' WHERE src_offset = 2")
            // The other way is still to be told of, and what is open stays.
            #expect(try await index.forget(atMost: 1) == 1)
            #expect(try await index.forget(atMost: 10) == 1)
            #expect(try await index.states() == [.replayed: 1, .open: 1])
        }
    }

    @Test func whatWaitsInAReplayIsWatchedLikeWhatIsOpen() async throws {
        try await withIndex { index in
            var letters = (0..<3).map(letter)
            for number in letters.indices {
                letters[number].copiedAt = Timestamp(milliseconds: Time.wallMilliseconds - 36 * 3_600_000)
            }
            try await index.take(TestLetters.batch(letters))
            // Half of what the topic keeps is less than 72 hours, and not over; nor are 72 hours before the end of a week.
            for hours in [73, 109] {
                try await index.run("DELETE FROM retentions")
                try await index.run("INSERT INTO retentions VALUES ('orders', 'pricer', \(hours * 3_600_000))")
                #expect(try await index.expiring().isEmpty, "\(hours)")
            }
            try await index.run("UPDATE retentions SET milliseconds = 71 * 3600000")
            var filter = DeadLetterFilter()
            filter.ids = letters.prefix(2).map(\.id)
            _ = try await index.replay(.init(filter, confirmed: 2, who: "ada"))
            #expect(try await index.expiring().map(\.count) == [3])
            // Its copy may go while it is on its way; its end counts all the same.
            let job = try #require(try await index.jobs().first)
            try await index.run("UPDATE entries SET state = 'expired' WHERE state = 'replaying'")
            try await index.take(
                TestLetters.batch(
                    from: 1, told: [(letter(0), job.id, 1, "done"), (letter(1), job.id, 1, "dead:permanent")]))
            #expect(try await index.states() == [.resolved: 1, .open: 2])
        }
    }

    /// What is asked again and again, and after every start, reads what it is about and not all items that there are.
    @Test(
        arguments: [
            ("items_in_trouble", "SELECT outcome FROM items WHERE job = 'j' AND outcome NOT IN ('done', 'repeat')"),
            (
                "items_told",
                "SELECT job FROM items WHERE sent_at IS NOT NULL AND published_at IS NULL AND outcome IS NOT NULL "
                    + "AND outcome NOT LIKE 'skipped:%'"
            ),
            ("items_untold", "SELECT job FROM items WHERE published_offset < 7 AND outcome IS NULL"),
            (
                "entries_by_copy",
                "SELECT id FROM entries WHERE topic = 't' AND handler = 'h' AND state IN ('open', 'replaying')"
            ),
        ]) func itemsAreFoundByTheirIndex(_ index: String, _ question: String) async throws
    {
        try await withIndex { found in
            let plan = try await found.pool.transaction { transaction in
                transaction.later(
                    "INSERT INTO jobs (id, made_by, filter, to_source, rate, canary, state, total) VALUES ('j', 'a', '{}', false, 1, 0, 'done', 1)"
                )
                transaction.later(
                    """
                    INSERT INTO items (job, number, entry, replays, sent_at, published_at, outcome, published_offset)
                    SELECT 'j', n, gen_random_uuid(), 1, now(), now(), 'done', n FROM generate_series(1, 20000) n
                    """)
                transaction.later("ANALYZE items")
                return try await transaction.query(SQL(stringLiteral: "EXPLAIN \(question)")).map {
                    try $0.value("QUERY PLAN", as: String.self)
                }
            }
            #expect(plan.contains { $0.contains(index) }, "\(plan)")
        }
    }

    @Test func aLimitMeansTheOldest() async throws {
        try await withIndex { index in
            try await index.take(TestLetters.batch((0..<6).map(letter)))
            #expect(try await index.discard(DeadLetterFilter(), limit: 2, confirmed: 2, who: "ada") == 2)
            var order = DeadLetterIndex.ReplayOrder(DeadLetterFilter(), confirmed: 3, who: "ada")
            order.limit = 3
            #expect(try await index.replay(order).total == 3)
            let left = try await index.list(try #require(DeadLetterFilter().narrowed(to: .open)), limit: 9)
            #expect(left.map(\.letter.id) == [letter(5).id])
            let aside = try await index.list(try #require(DeadLetterFilter().narrowed(to: .discarded)), limit: 9)
            #expect(aside.map(\.letter.id) == [letter(1).id, letter(0).id])
            #expect(try await index.restore(DeadLetterFilter(), limit: 1, confirmed: 1, who: "ada") == 1)
        }
    }

    private func press(_ runner: ReplayRunner) async throws -> ReplayPress {
        let client = runner.follower.client
        return ReplayPress(runner.follower, try Producer(ProducerConfiguration(client)), try RecordReader(client))
    }

    private func close(_ press: ReplayPress) async {
        await press.reader.close()
        await press.producer.close()
    }
}
