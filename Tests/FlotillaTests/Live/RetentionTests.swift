import Contracts
import FlotillaTesting
import Kafka
import Platform
import Testing

@testable import Flotilla

/// For how long a topic keeps its records is the broker's to say.
@Suite(.timeLimit(.minutes(3))) struct RetentionTests {
    @Test func theBrokerKnowsBetterThanTheFile() async throws {
        try await Fleet.with { fleet in
            let admin = try Admin(ClientConfiguration(brokers: fleet.brokers))
            do {
                let hour = ["retention.ms": "3600000"]
                let topics = [
                    NewTopic("short", partitions: 1, settings: hour),
                    NewTopic("endless", partitions: 1, settings: ["retention.ms": "-1"]),
                ]
                #expect(try await admin.create(topics).isEmpty)
                let policy = ConsumerPolicy(handler: "reader")
                let names: [TopicName] = ["short", "endless", "missing"]
                let stage = Stage(
                    .events(TestHandler("reader") { _, _ in [] }),
                    Dictionary(uniqueKeysWithValues: names.map { ($0, policy) }),
                    retentions: Dictionary(uniqueKeysWithValues: names.map { ($0, .seconds(7 * 86_400)) }))
                let worker = stage.start().worker
                #expect(worker.retentions.count == 3)
                await RetentionLook(admin).ask([worker])
                #expect(worker.retentions == ["short": .seconds(3600), "missing": .seconds(7 * 86_400)])
                try await admin.change(["retention.ms": "60000"], of: "short")
                await RetentionLook(admin).ask([worker])
                #expect(worker.retentions["short"] == .seconds(60))
            } catch {
                await admin.close()
                throw error
            }
            await admin.close()
        }
    }

    @Test func whatIsOnlyCompactedIsKept() {
        func retention(_ policy: String?, _ time: String?) -> RetentionLook.Retention? {
            RetentionLook.Retention(["cleanup.policy": policy, "retention.ms": time].compactMapValues { $0 })
        }
        #expect(retention("compact", "1000") == .always)
        #expect(retention("compact,delete", "1000") == .time(.seconds(1)))
        #expect(retention(nil, "-1") == .always)
        #expect(retention("delete", nil) == nil && retention("delete", "soon") == nil)
    }
}
