// The same two loops as RawClient, through the Swift client: what it adds to librdkafka.
//
//   swift-client BROKERS TOPIC produce COUNT SIZE
//   swift-client BROKERS TOPIC consume COUNT
//
// Prints: records seconds

import Glibc
import Kafka
import Model
import Platform

@main
enum SwiftClient {
    /// RawClient's topics have as many.
    static let partitions: Int32 = 6

    static func main() async {
        let arguments = CommandLine.arguments
        guard arguments.count >= 5, let count = Int(arguments[4]) else {
            return fail("see the first lines of the source")
        }
        let client = ClientConfiguration(brokers: [arguments[1]])
        let topic = TopicName(arguments[2])
        do {
            let seconds =
                arguments[3] == "produce"
                ? try await produce(client, topic, count, size: Int(arguments.dropFirst(5).first ?? "300") ?? 300)
                : try await consume(client, topic, count)
            print("\(count) \(seconds)")
        } catch {
            fail("\(error)")
        }
    }

    /// Batches of 2000, eight of them under way.
    private static func produce(
        _ client: ClientConfiguration, _ topic: TopicName, _ count: Int, size: Int
    ) async throws -> Double {
        var configuration = ProducerConfiguration(client)
        configuration.maxQueuedRecords = 1_000_000
        configuration.maxQueuedBytes = 1 << 30
        let producer = try Producer(configuration)
        let payload = (0..<size).map { UInt8(ascii: "a") + UInt8($0 % 26) }
        let start = Time.monotonicNanoseconds
        try await withThrowingTaskGroup(of: Void.self) { group in
            var sent = 0
            var underWay = 0
            while sent < count {
                if underWay == 8 {
                    try await group.next()
                    underWay -= 1
                }
                let size = min(2000, count - sent)
                var batch = OutgoingBatch()
                batch.reserveCapacity(records: size, bytes: size * payload.count)
                for index in 0..<size {
                    unsafe batch.append(
                        topic: topic, partition: Partition(Int32((sent + index) % Int(partitions))), key: nil,
                        value: payload.span.bytes)
                }
                sent += size
                underWay += 1
                group.addTask { [batch] in
                    let report = try await producer.send(batch)
                    if let failure = report.failures.first { throw failure.fault }
                }
            }
            try await group.waitForAll()
        }
        let seconds = Double(Time.monotonicNanoseconds - start) / 1e9
        await producer.close()
        return seconds
    }

    private static func consume(
        _ client: ClientConfiguration, _ topic: TopicName, _ count: Int
    ) async throws -> Double {
        var configuration = ConsumerConfiguration(client, group: "swift-client")
        // As RawClient has it.
        configuration.maxPrefetchedRecords = 1_000_000
        let consumer = try Consumer(configuration)
        var places: [TopicPartition: Consumer.StartingPoint] = [:]
        for number in 0..<partitions { places[TopicPartition(topic, Partition(number))] = .earliest }
        let start = Time.monotonicNanoseconds
        try await consumer.assign(places)
        var seen = 0
        while seen < count {
            switch try await consumer.next(max: 1000) {
            case .records(let batch): seen += batch.count
            case .fault(let fault): throw fault
            case .assigned, .revoked, .lost, .end: break
            }
        }
        let seconds = Double(Time.monotonicNanoseconds - start) / 1e9
        await consumer.close()
        return seconds
    }

    private static func fail(_ reason: String) {
        var line = "swift-client: \(reason)\n"
        line.withUTF8 { _ = unsafe write(2, $0.baseAddress, $0.count) }
        exit(1)
    }
}
