import Contracts
import Flotilla
import Kafka
import MockCluster
import Model
import Platform
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing

@testable import DeadLetters

/// The worker's parts against brokers in which something is not as it was, or cannot be had.
@Suite(.inTurns) struct WatchTests {
    private let letters = TopicName("orders.pricer.dlq")

    /// A dead-letter topic that was deleted while nobody followed it, and has other records now: more, as many, fewer.
    @Test(arguments: [6, 4, 3, 1] as [Int64]) func aTopicThatWasMadeAnewIsReadFromItsBeginning(_ count: Int64)
        async throws
    {
        try await withBroker { client in
            try await withIndex { index in
                try await withAdmin(client) { admin in
                    func make(_ numbers: Range<Int64>) async throws {
                        #expect(try await admin.create([NewTopic(letters, partitions: 1)]).isEmpty)
                        try await publish(numbers.map { TestLetters.record(TestLetters.letter($0)) }, client)
                        try await following(index, client) {
                            try await eventually {
                                try await index.find(TestLetters.letter(numbers.upperBound - 1).id) != nil
                            }
                        }
                    }
                    try await make(0..<3)
                    // What is there still is not read again.
                    try await following(index, client) {
                        try await publish([TestLetters.record(TestLetters.letter(3))], client)
                        try await eventually { try await index.count(DeadLetterFilter()) == 4 }
                    }
                    _ = try await admin.delete([letters])
                    try await eventually { try await admin.topics([letters]).isEmpty }
                    try await make(10..<(10 + count))
                    #expect(try await index.count(DeadLetterFilter()) == 4 + Int(count))
                    #expect(try await index.positions()[TopicPartition(letters, 0)] == Offset(count))
                }
            }
        }
    }

    /// One of two topics answers nothing that it is asked: what is known is counted and warned of all the same.
    @Test(arguments: [true, false]) func whatCannotBeLookedAtBlindsNobody(_ isThere: Bool) async throws {
        try await withIndex { index in
            let cluster = try MockCluster()
            // It cannot be asked for settings.
            for topic in [letters, "orders.pricer.replay", TopicName.outcomes] {
                try cluster.create(topic.rawValue, partitions: 1)
            }
            var letter = TestLetters.letter(0)
            letter.copiedAt = Timestamp(milliseconds: Time.wallMilliseconds - 80 * 3_600_000)
            try await index.take(TestLetters.batch([letter]))
            try await index.run("INSERT INTO retentions VALUES ('orders', 'pricer', 100 * 3600000)")
            let client = isThere ? ClientConfiguration(brokers: cluster.brokers) : nobody
            let follower = index.follower(client)
            let watch = RetentionWatch(follower: follower)
            if isThere {
                let seen = try await watch.look()
                #expect(Set(seen.troubles.keys) == [letters.rawValue], "\(seen.troubles)")
            }
            let watching = Task { await watch.watch() }
            try await eventually { follower.gauges.look.withLock { $0?.expiring } == 1 }
            follower.service.end()
            await watching.value
        }
    }

    /// The replay topic has let go of what was handled, and nobody has read yet that it was.
    @Test func whatWasToldIsReadBeforeAnythingIsReleased() async throws {
        try await withBroker { client in
            try await withIndex { index in
                try await withAdmin(client) { admin in
                    let replay = TopicPartition("orders.pricer.replay", 0)
                    for topic in [letters, replay.topic, .outcomes] {
                        #expect(try await admin.create([NewTopic(topic, partitions: 1)]).isEmpty)
                    }
                    let some = (0..<3).map { TestLetters.letter($0) }
                    try await publish(some.map { TestLetters.record($0) }, client)
                    try await index.take(TestLetters.batch(some))
                    let job = try await index.replay(.init(DeadLetterFilter(), confirmed: 3, who: "ada"))
                    try await index.run("UPDATE entries SET state = 'replayed'")
                    try await index.run(
                        "UPDATE items SET sent_at = now(), published_at = now(), published_offset = number - 1")
                    try await index.run("UPDATE jobs SET state = 'finishing', published = 3")
                    try await publish(some.map { TestLetters.record($0, in: replay.topic) }, client)
                    _ = try await admin.deleteRecords(below: [replay: 3])
                    // The third was not come to.
                    try await publish(
                        some.prefix(2).map { letter in
                            let told = """
                                {"dlq_id":"\(letter.id)","job":"\(job.id)","replays":1,"outcome":"done"}
                                """
                            return OutgoingRecord(topic: .outcomes, partition: 0, value: Array(told.utf8))
                        }, client)
                    let still = Flag()
                    still.set(true)
                    let follower = index.follower(client) { still.isSet }
                    let following = Task { try await follower.follow() }
                    let watching = Task { await RetentionWatch(follower: follower).watch() }
                    try await eventually {
                        try await index.pool.transaction {
                            try await !$0.query("SELECT 1 AS one FROM retentions").isEmpty
                        }
                    }
                    still.set(false)
                    try await eventually { try await index.states() == [.resolved: 2, .open: 1] }
                    follower.service.end()
                    try await following.value
                    await watching.value
                    let after = try await index.job(job.id)
                    #expect(after?.resolved == 2 && after?.skipped == 1, "\(String(describing: after))")
                }
            }
        }
    }

    /// What was told is never read to where it ended: that is said, and what is gone is looked for anew.
    @Test func aReleaseThatWaitsForWhatIsToldHasAnEnd() async throws {
        try await withBroker { client in
            try await withIndex { index in
                try await withAdmin(client) { admin in
                    let replay = TopicPartition("orders.pricer.replay", 0)
                    for topic in [letters, replay.topic, .outcomes] {
                        #expect(try await admin.create([NewTopic(topic, partitions: 1)]).isEmpty)
                    }
                    let letter = TestLetters.letter(0)
                    try await publish([TestLetters.record(letter)], client)
                    try await index.take(TestLetters.batch([letter]))
                    _ = try await index.replay(.init(DeadLetterFilter(), confirmed: 1, who: "ada"))
                    try await index.run("UPDATE entries SET state = 'replayed'")
                    try await index.run("UPDATE items SET sent_at = now(), published_at = now(), published_offset = 0")
                    try await publish([TestLetters.record(letter, in: replay.topic)], client)
                    _ = try await admin.deleteRecords(below: [replay: 1])
                    try await publish([OutgoingRecord(topic: .outcomes, partition: 0, value: [1])], client)
                    let lines = Mutex<[String]>([])
                    let log = Log(level: .warning, format: .text) { line in lines.withLock { $0.append(line) } }
                    let follower = index.follower(client, log: log)
                    let watch = RetentionWatch(follower: follower, pace: .milliseconds(100), patience: .seconds(1))
                    let watching = Task { await watch.watch() }
                    try await eventually {
                        lines.withLock { lines in
                            lines.contains { $0.contains("topic=flotilla.outcomes") && $0.contains("looked for anew") }
                        }
                    }
                    #expect(try await index.states() == [.replayed: 1])
                    let following = Task { try await follower.follow() }
                    try await eventually { try await index.states() == [.open: 1] }
                    follower.service.end()
                    try await following.value
                    await watching.value
                }
            }
        }
    }

    /// Where one replay goes to cannot be asked: the others go on, and it does when it can.
    @Test(arguments: [true, false], [true, false]) func aPlaceThatCannotBeReachedHoldsUpItsOwnReplayAlone(
        _ hasSent: Bool, _ isCancelled: Bool
    ) async throws {
        try await withIndex { index in
            let cluster = try MockCluster()
            let client = ClientConfiguration(brokers: cluster.brokers)
            var jobs: [ReplayJob] = []
            for handler in ["clerk", "pricer"] as [HandlerName] {
                let family = TopicFamily("orders", handler)
                try cluster.create(family.deadLetters.rawValue, partitions: 1)
                try cluster.create(family.replay.rawValue, partitions: 1)
                let letter = TestLetters.letter(0, of: family)
                try await publish([TestLetters.record(letter, in: family.deadLetters)], client)
                try await index.take(TestLetters.batch([letter], from: jobs.isEmpty ? nil : 1))
                jobs.append(try await index.replay(.init(DeadLetterFilter(), confirmed: 1, who: "ada")))
            }
            // As one that ended in the middle has left it.
            if hasSent {
                try await index.run("UPDATE items SET sent_at = now(), sent_from = 0 WHERE job = \(jobs[0].id)")
            }
            cluster.lead("orders.clerk.replay", 0, by: nil)
            let lease = try #require(try await WorkLease.take(index, for: "a"))
            let tries = Atomic(0)
            let log = Log(level: .warning, format: .text) { line in
                if line.contains("a replay cannot reach a place") { tries.add(1, ordering: .relaxed) }
            }
            let runner = ReplayRunner(index.follower(client, log: log), lease, pause: .milliseconds(200))
            let running = Task { try await runner.run() }
            try await eventually { try await index.job(jobs[1].id)?.state == .finishing }
            try await eventually { try await index.job(jobs[0].id)?.reason.contains("orders.clerk.replay/0") == true }
            let job = try #require(try await index.job(jobs[0].id))
            #expect(!job.state.stands && !job.state.isOver && job.published == 0, "\(job)")
            #expect(
                try await index.find(TestLetters.letter(0, of: TopicFamily("orders", "clerk")).id)?.state == .replaying)
            if isCancelled {
                let id = TestLetters.letter(0, of: TopicFamily("orders", "clerk")).id
                _ = try await index.change(jobs[0].id, .cancel, who: "ada")
                // A try that has begun before may still publish it: the place stays away until another one has begun, or
                // needs it no more.
                let before = tries.load(ordering: .relaxed)
                try await eventually {
                    let isOpen = try await index.find(id)?.state == .open
                    return isOpen || tries.load(ordering: .relaxed) >= before + 2
                }
                cluster.lead("orders.clerk.replay", 0, by: 1)
                try await eventually { try await index.find(id)?.state == .open }
                #expect(try await index.job(jobs[0].id)?.published == 0)
            } else {
                cluster.lead("orders.clerk.replay", 0, by: 1)
                try await eventually { try await index.job(jobs[0].id)?.state == .finishing }
                let after = try #require(try await index.job(jobs[0].id))
                #expect(after.published == 1 && after.reason.isEmpty, "\(after)")
            }
            runner.service.end()
            try await running.value
        }
    }

    /// Where nobody leads, nobody knows what waits for its next try: that place is left, and told of, and no other is.
    @Test func aRetryTopicThatCannotBeReachedHoldsBackItsOwnPlaceAlone() async throws {
        try await withIndex { index in
            let cluster = try MockCluster()
            let client = ClientConfiguration(brokers: cluster.brokers)
            let families = [TopicFamily("orders", "clerk"), TestLetters.family]
            try cluster.create(TopicName.outcomes.rawValue, partitions: 1)
            for (number, family) in families.enumerated() {
                for topic in [family.replay, family.retry("10s")] { try cluster.create(topic.rawValue, partitions: 1) }
                let letter = TestLetters.letter(0, of: family)
                try await index.take(TestLetters.batch([letter], from: number == 0 ? nil : 1))
            }
            _ = try await index.replay(.init(DeadLetterFilter(), confirmed: 2, who: "ada"))
            try await index.run("UPDATE entries SET state = 'replayed'")
            try await index.run("UPDATE items SET sent_at = now(), published_at = now(), published_offset = 0")
            let lows = families.map { RetentionWatch.Low(family: $0, partition: 0, offset: 1) }
            let watch = RetentionWatch(follower: index.follower(client))
            cluster.lead("orders.clerk.retry.10s", 0, by: nil)
            let first = try #require(try await watch.release(lows))
            #expect(first.waiting.unseen.keys.map(\.family.handler) == ["clerk"], "\(first.waiting.unseen)")
            try await watch.carryOut(first)
            #expect(try await index.find(TestLetters.letter(0).id)?.state == .open)
            #expect(try await index.states() == [.open: 1, .replayed: 1])
            cluster.lead("orders.clerk.retry.10s", 0, by: 1)
            try await watch.carryOut(try #require(try await watch.release(lows)))
            #expect(try await index.states() == [.open: 2])
        }
    }

    /// What lies where nobody leads is not gone, and what was to go there is neither passed over nor published twice.
    @Test func whatNobodyLeadsIsNotTakenForGone() async throws {
        let cluster = try MockCluster()
        let client = ClientConfiguration(brokers: cluster.brokers)
        try cluster.create(letters.rawValue, partitions: 1)
        try await publish([TestLetters.record(TestLetters.letter(0))], client)
        cluster.lead(letters.rawValue, 0, by: nil)
        let reader = try RecordReader(client)
        await #expect(throws: KafkaFault.self) { try await reader.read(0, of: TopicPartition(letters, 0)) }
        #expect(try await reader.read(0, of: TopicPartition(letters, 7)) == nil)
        #expect(try await reader.read(0, of: TopicPartition("no.such", 0)) == nil)
        await reader.close()
    }

    // MARK: What is needed

    private final class Flag: Sendable {
        private let value = Atomic<Bool>(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set(_ isSet: Bool) { value.store(isSet, ordering: .relaxed) }
    }

    private func following(
        _ index: DeadLetterIndex, _ client: ClientConfiguration, _ body: () async throws -> Void
    ) async throws {
        let follower = index.follower(client)
        let task = Task { try await follower.follow() }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        follower.service.end()
        try await task.value
        try result.get()
    }
}
