import Contracts
import Flotilla
import Kafka
import Platform
import Synchronization
import TestSupport
import Testing

/// What a topic file says of retries, order and deadlines, against a real broker.
@Suite(.inTurns) struct PolicyTests {
    @Test func aTierIsNeitherEarlyNorMuchLater() async throws {
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "late")
            policy.retry.inProcess = 1
            policy.retry.tiers = [.seconds(1), .seconds(3)]
            try await fleet.makeTopics("events", policy)
            let calls = Mutex<[String: [Int64]]>([:])
            let handler = TestHandler("late") { event, context in
                let count = calls.withLock { calls in
                    calls[event.id, default: []].append(Time.monotonicMilliseconds)
                    return calls[event.id]?.count ?? 0
                }
                #expect(context.attempt == count)
                throw Refusal.retry("not yet")
            }
            try await fleet.publish("events", (0..<20).map { ("id-\($0)", "k\($0)", "{}") })
            let letters = try await fleet.withWorker(.events(handler), ["events": policy]) { _ in
                try await fleet.read("events.late.dlq", count: 20)
            }
            #expect(letters.count == 20)
            #expect(letters.allSatisfy { $0.text("__dlq.errors.delivery.count") == "3" })
            for times in calls.withLock({ $0 }).values {
                try #require(times.count == 3)
                #expect(times[1] - times[0] >= 1000)
                #expect(times[2] - times[1] >= 3000)
            }
        }
    }

    /// However a replayed record ends, and in whichever topic, it is counted as one.
    @Test func endsOfReplaysAreCountedWhereverTheyAre() async throws {
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "again")
            policy.retry.inProcess = 1
            policy.retry.tiers = [.seconds(1)]
            try await fleet.makeTopics("events", policy)
            let isReplay = Mutex(false)
            let handler = TestHandler("again") { event, context in
                guard isReplay.withLock({ $0 }) else { throw Refusal.permanent("not yet") }
                if event.id == "worse" { throw Refusal.retry("never") }
                if event.id == "slow", context.attempt == 2 { throw Refusal.retry("later") }
                return []
            }
            try await fleet.publish("events", ["well", "slow", "worse"].map { ($0, "k", "{}") })
            try await fleet.withWorker(.events(handler), ["events": policy]) { worker in
                let letters = try await fleet.read("events.again.dlq", count: 3)
                #expect(worker.figures.replayed(.dead) == 0)
                isReplay.withLock { $0 = true }
                for letter in letters {
                    let headers =
                        letter.headers.filter { !$0.name.hasPrefix("dlq-replay") }
                        + [Header("dlq-replays", "1"), Header("dlq-replay-job", "job")]
                    _ = try await fleet.producer.send(
                        OutgoingRecord(
                            topic: "events.again.replay", partition: letter.partition, key: letter.keyBytes,
                            value: letter.valueBytes, headers: headers))
                }
                let end = ContinuousClock.now + .seconds(60)
                while worker.figures.replayed(.done) + worker.figures.replayed(.dead) < 3 {
                    try #require(ContinuousClock.now < end)
                    try await Task.sleep(for: .milliseconds(5))
                }
                #expect(worker.figures.replayed(.done) == 2)
                #expect(worker.figures.replayed(.dead) == 1)
                #expect(worker.figures.replayed(.repeats) == 0)
            }
        }
    }

    @Test func aDeadlineEndsACallAndTheRecordIsNotLost() async throws {
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "slow")
            policy.deadline = .milliseconds(200)
            policy.retry.inProcess = 2
            policy.retry.tiers = []
            try await fleet.makeTopics("events", policy)
            let fine = Mutex(0)
            let handler = TestHandler("slow") { event, _ in
                if event.id == "id-3" { try await Task.sleep(for: .seconds(60)) }
                fine.withLock { $0 += 1 }
                return []
            }
            try await fleet.publish("events", (0..<10).map { ("id-\($0)", "k", "{}") })
            try await fleet.withWorker(.events(handler), ["events": policy]) { worker in
                let letters = try await fleet.read("events.slow.dlq", count: 1)
                #expect(letters.map { $0.text("dlq-reason") } == ["timeout"])
                #expect(letters.map { $0.text("ce_id") } == ["id-3"])
            }
            #expect(fine.withLock { $0 } == 9)
        }
    }

    @Test func strictOrderHoldsThePartitionWhileARecordFails() async throws {
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "strict")
            policy.ordering = .partition
            policy.retry.tiers = []
            policy.produces = ["out"]
            try await fleet.makeTopics("events", policy, partitions: 1)
            let calls = Mutex<[String: Int]>([:])
            let handler = TestHandler("strict") { event, _ in
                let count = calls.withLock { calls in
                    calls[event.id, default: 0] += 1
                    return calls[event.id] ?? 0
                }
                // One that passes at the third try, one that never does.
                if event.id == "id-5" && count < 3 { throw Refusal.retry("later") }
                if event.id == "id-8" { throw Refusal.retry("never") }
                return [Outgoing(to: "out", from: event, json: Array("\"\(event.id)\"".utf8))]
            }
            try await fleet.publish("events", (0..<20).map { ("id-\($0)", "k", "{}") })
            let outputs = try await fleet.withWorker(.events(handler), ["events": policy]) { _ in
                try await fleet.read("out", partitions: 1, count: 19)
            }
            let order = try outputs.map { try Event($0).json().string ?? "" }
            #expect(order == (0..<20).filter { $0 != 8 }.map { "id-\($0)" })
            #expect(calls.withLock { $0["id-8"] } == 3)
        }
    }

    @Test(arguments: [1, 8]) func aKeysFirstAttemptsStartInOrder(concurrency: Int) async throws {
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "keys")
            policy.concurrency = concurrency
            try await fleet.makeTopics("events", policy)
            let seen = Mutex<[String: [Int]]>([:])
            let handler = TestHandler("keys") { event, _ in
                let number = Int(event.id) ?? -1
                seen.withLock { $0[event.key ?? "", default: []].append(number) }
                await Task.yield()
                return []
            }
            try await fleet.publish("events", (0..<3000).map { ("\($0)", "k\($0 % 40)", "{}") })
            try await fleet.withWorker(.events(handler), ["events": policy]) { worker in
                let end = ContinuousClock.now + .seconds(60)
                while worker.figures.done < 3000 {
                    try #require(ContinuousClock.now < end)
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
            let all = seen.withLock { $0 }
            #expect(all.count == 40)
            for (_, numbers) in all { #expect(numbers == numbers.sorted() && numbers.count == 75) }
        }
    }

    /// A window that is full at every turn: a pause that comes after the room was made must not stay.
    @Test func aSmallWindowNeverStopsForGood() async throws {
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "narrow")
            policy.retry.tiers = []
            try await fleet.makeTopics("events", policy)
            try await fleet.publish("events", (0..<3000).map { ("\($0)", "k\($0 % 40)", "{}") })
            var settings = WorkerSettings()
            settings.fetchRecords = 25
            settings.window = OffsetLedger.Limits(records: 20, bytes: 1 << 20)
            settings.roomPatience = 0
            let handler = TestHandler("narrow") { _, _ in [] }
            try await fleet.withWorker(.events(handler), ["events": policy], settings: settings) { worker in
                let end = ContinuousClock.now + .seconds(60)
                while worker.figures.done < 3000 {
                    try #require(ContinuousClock.now < end, "stopped at \(worker.paused)")
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
        }
    }

    @Test func aBatchThatFailsCostsOnlyTheOneToBlame() async throws {
        struct Summing: BatchHandler {
            let name = HandlerName("batches")
            let sizes = Sizes()

            final class Sizes: Sendable {
                let all = Mutex<[Int]>([])
            }

            func handle(_ events: [Event], _ context: Context) async throws -> [Outgoing] {
                sizes.all.withLock { $0.append(events.count) }
                if events.contains(where: { $0.id == "13" }) { throw Refusal.permanent("unlucky") }
                return events.map { Outgoing(to: "sums", from: $0, json: Array("{}".utf8)) }
            }
        }
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "batches")
            policy.produces = ["sums"]
            try await fleet.makeTopics("events", policy, partitions: 1)
            try await fleet.publish("events", (0..<100).map { ("\($0)", "k", "{}") })
            let handler = Summing()
            try await fleet.withWorker(.batches(handler), ["events": policy]) { _ in
                let outputs = try await fleet.read("sums", partitions: 1, count: 99)
                #expect(Set(outputs.compactMap { $0.text("ce_id") }).count == 99)
                let letters = try await fleet.read("events.batches.dlq", partitions: 1, count: 1)
                #expect(letters.map { $0.text("ce_id") } == ["13"])
            }
            #expect(handler.sizes.all.withLock { $0.contains { $0 > 1 } })
        }
    }
}
