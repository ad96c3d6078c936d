import Foundation
import Kafka
import Testing

@Suite(.timeLimit(.minutes(2))) struct ClosingTests {
    /// In a process of its own, where nobody else starts threads of these names.
    @Test func noThreadIsLeft() async {
        await #expect(processExitsWith: .success) {
            for _ in 0..<20 {
                let client = ClientConfiguration(brokers: ["127.0.0.1:1"])
                let producer = try Producer(ProducerConfiguration(client))
                let consumer = try Consumer(ConsumerConfiguration(client, group: "g"))
                try await consumer.subscribe(["t"])
                let admin = try Admin(client)
                try #require(ClosingTests.kafkaThreads().count >= 3)
                // Before, and while, a call waits for a broker that is not there.
                let waiting = Task { () throws(KafkaFault) in
                    try await consumer.watermarks(TopicPartition("t", 0), within: .milliseconds(20))
                }
                await producer.close()
                await consumer.close()
                await admin.close()
                _ = await waiting.result
            }
            let left = ClosingTests.kafkaThreads()
            try #require(left.isEmpty, "\(left)")
        }
    }

    /// The names of this process's threads that belong to clients.
    private static func kafkaThreads() -> [String] {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        return tasks.compactMap { task in
            let name = try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8)
            return name.flatMap { $0.hasPrefix("kafka-") || $0.hasPrefix("rdk:") ? $0 : nil }
        }
    }
}
