import Contracts
import Flotilla
import Kafka
import Synchronization
import TestSupport
import Testing

/// The worker of a handler without state, against a real broker.
@Suite(.inTurns) struct PlainWorkerTests {
    @Test func everyEventIsHandledAndItsOutputPublished() async throws {
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "double")
            policy.produces = ["doubled"]
            try await fleet.makeTopics("numbers", policy)
            try await fleet.publish("numbers", (0..<3000).map { ("id-\($0)", "key-\($0 % 17)", "{\"value\":\($0)}") })
            let handler = TestHandler("double") { event, _ in
                let value = try event.json()["value"]?.int64 ?? 0
                return [Outgoing(to: "doubled", from: event, json: Array("{\"value\":\(value * 2)}".utf8))]
            }
            let outputs = try await fleet.withWorker(.events(handler), ["numbers": policy]) { _ in
                try await fleet.read("doubled", count: 3000)
            }
            #expect(outputs.count == 3000)
            let ids = Set(outputs.compactMap { $0.lastHeader("ce_id") ?? nil })
            #expect(ids.count == 3000)
            let sum = try outputs.map { try Event($0).json()["value"]?.int64 ?? 0 }.reduce(0, +)
            #expect(sum == 2999 * 3000)
            #expect(outputs.allSatisfy { $0.keyBytes != nil })
        }
    }

    @Test func whatCannotBeHandledEndsAsADeadLetterByteForByte() async throws {
        try await Fleet.with { fleet in
            var policy = ConsumerPolicy(handler: "picky")
            policy.retry.tiers = [.seconds(1)]
            try await fleet.makeTopics("things", policy)
            try await fleet.publish("things", [("a", "k", "permanent"), ("b", "k", "again"), ("c", "k", "fine")])
            _ = try await fleet.producer.send(
                OutgoingRecord(topic: "things", key: [0, 1], value: [0xff, 0x00], headers: [Header("x", [0xfe])]))
            let handler = TestHandler("picky") { event, context in
                switch String(decoding: event.bytes.copied, as: UTF8.self) {
                case "permanent": throw Refusal.permanent("never")
                case "again": throw Refusal.retry("attempt \(context.attempt)")
                case _: return []
                }
            }
            let letters = try await fleet.withWorker(.events(handler), ["things": policy]) { _ in
                try await fleet.read("things.picky.dlq", count: 3)
            }
            #expect(letters.count == 3)
            var byReason: [String: Record] = [:]
            for letter in letters { byReason[letter.text("dlq-reason") ?? ""] = letter }
            #expect(Set(byReason.keys) == ["permanent", "exhausted", "undecodable"])
            let foreign = try #require(byReason["undecodable"])
            #expect(foreign.keyBytes == [0, 1])
            #expect(foreign.valueBytes == [0xff, 0x00])
            #expect(foreign.lastHeader("x") == .some([0xfe]))
            let exhausted = try #require(byReason["exhausted"])
            #expect(exhausted.text("__dlq.errors.delivery.count") == "4")
            #expect(exhausted.text("__dlq.errors.topic") == "things")
            #expect(exhausted.text("__dlq.errors.message") == "attempt 4")
        }
    }
}

extension PlainWorkerTests {
    @Test func aDeadLetterThatIsRefusedStopsItsPartitionAndIsNotSkipped() async throws {
        try await Fleet.with { fleet in
            let policy = ConsumerPolicy(handler: "picky")
            try await fleet.makeTopics("things", policy, partitions: 1)
            let admin = try Admin(ClientConfiguration(brokers: fleet.brokers))
            try await admin.change(["max.message.bytes": "200"], of: "things.picky.dlq")
            try await fleet.publish("things", [("a", "k", "bad"), ("b", "k", "good")])
            let handler = TestHandler("picky") { event, _ in
                if event.id == "a" { throw Refusal.permanent("never") }
                return []
            }
            try await fleet.withWorker(.events(handler), ["things": policy]) { worker in
                while !fleet.lines.contains(where: { $0.contains("stopped: a dead letter cannot be written") }) {
                    try await Task.sleep(for: .milliseconds(10))
                }
                // Long enough for a commit, if there were something to commit.
                try await Task.sleep(for: .seconds(2))
                let committed = try await admin.committed(by: Namespace().group("picky"))
                #expect((committed[TopicPartition("things", 0)]?.offset ?? 0) == 0)
                #expect(worker.outstanding > 0)
                try await admin.change(["max.message.bytes": "100000"], of: "things.picky.dlq")
                let letters = try await fleet.read("things.picky.dlq", partitions: 1, count: 1)
                #expect(letters.map { $0.text("ce_id") } == ["a"])
                #expect(letters.first?.valueBytes == Array("bad".utf8))
                while worker.outstanding > 0 { try await Task.sleep(for: .milliseconds(10)) }
            }
            let committed = try await admin.committed(by: Namespace().group("picky"))
            #expect(committed[TopicPartition("things", 0)]?.offset == 2)
            await admin.close()
        }
    }

    @Test func aFloodOfOneFailureIsToldOnceAndPausesNothing() async throws {
        try await Fleet.with { fleet in
            let policy = ConsumerPolicy(handler: "picky")
            try await fleet.makeTopics("things", policy)
            try await fleet.publish("things", (0..<1000).map { ("id-\($0)", nil, $0 % 2 == 0 ? "bad" : "good") })
            let handler = TestHandler("picky") { event, _ in
                if String(decoding: event.bytes.copied, as: UTF8.self) == "bad" {
                    throw Refusal.permanent("event \(event.id) is bad")
                }
                return []
            }
            try await fleet.withWorker(.events(handler), ["things": policy]) { worker in
                let letters = try await fleet.read("things.picky.dlq", count: 500)
                #expect(letters.count == 500)
                let fingerprints = Set(letters.map { $0.text("dlq-fingerprint") })
                #expect(fingerprints.count == 1)
                #expect(worker.floods.map(\.fingerprint) == fingerprints.map { $0 ?? "" })
                #expect(worker.paused.isEmpty)
            }
            #expect(fleet.lines.count { $0.contains("a flood: many events fail alike") } == 1)
        }
    }
}

extension Record {
    func text(_ name: String) -> String? {
        guard case .some(.some(let bytes)) = lastHeader(name) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
