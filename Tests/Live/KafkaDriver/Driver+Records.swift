import Foundation
import Kafka

// What producers and consumers are asked to do.
extension Driver {
    func produce(_ op: String, _ command: Arguments, _ producer: Producer) async throws -> Any {
        switch op {
        case "producer_close":
            await producer.close()
            return [String: Any]()
        case "flush":
            try await producer.flush()
            return [String: Any]()
        case "produce":
            let records = try command.objects("records").map(record)
            let report = try await producer.send(OutgoingBatch(records))
            let deliveries: [[String: Any]] = report.map { verdict in
                switch verdict {
                case .success(let delivery):
                    [
                        "partition": Int(delivery.partition.rawValue),
                        "offset": delivery.offset.map { Int($0.rawValue) as Any } ?? NSNull(),
                    ]
                case .failure(let fault): ["error": fault.json]
                }
            }
            return ["deliveries": deliveries]
        case _: throw Arguments.Malformed(description: "\(op): nothing a producer does")
        }
    }

    private func record(_ wish: Arguments) throws -> OutgoingRecord {
        let headers = try (wish.optional("headers", [[Any]].self) ?? []).map { row in
            guard row.count == 2, let name = row[0] as? String else {
                throw Arguments.Malformed(description: "headers: a row is [name, value]")
            }
            return Header(name, try Arguments.bytes(row[1]))
        }
        return OutgoingRecord(
            topic: TopicName(try wish.get("topic", String.self)),
            partition: wish.optional("partition", Int.self).map { Partition(Int32(clamping: $0)) },
            key: try wish.bytes("key"), value: try wish.bytes("value"), headers: headers,
            timestamp: wish.optional("timestamp", Int.self).map { Int64($0) })
    }

    func consume(_ op: String, _ command: Arguments, _ consumer: Consumer) async throws -> Any {
        switch op {
        case "consumer_close": await consumer.close()
        case "subscribe": try await consumer.subscribe(command.topics("topics"))
        case "unsubscribe": try await consumer.unsubscribe()
        case "assign":
            let points = try command.rows("partitions").map { place, rest in
                (place, Consumer.StartingPoint(rest.first as? Int ?? -1001))
            }
            try await consumer.assign(Dictionary(points) { _, last in last })
        case "poll": return try await poll(command, consumer)
        case "assignment": return ["partitions": try await consumer.assignment().map(\.json)]
        case "position":
            let positions = try await consumer.positions()
            return ["offsets": positions.map { $0.key.json + [Int($0.value.rawValue)] }]
        case "seek": try await consumer.seek(command.place(), to: Consumer.StartingPoint(command.get("offset")))
        case "seek_time":
            let place = try command.place()
            let timestamp = Int64(try command.get("timestamp", Int.self))
            let found = try await consumer.offsets(at: timestamp, of: [place])[place]
            if try await consumer.assignment().contains(place) { try await consumer.seek(place, toTime: timestamp) }
            return ["offset": found.map { Int($0.rawValue) as Any } ?? NSNull()]
        case "pause": try await consumer.pause(command.places("partitions"))
        case "resume": try await consumer.resume(command.places("partitions"))
        case "commit":
            try await consumer.commit(
                command.rows("offsets").map { place, rest in
                    PartitionOffset(
                        place, Offset(Int64(rest.first as? Int ?? 0)), metadata: rest.dropFirst().first as? String)
                })
        case "committed":
            let places = try command.places("partitions")
            let committed = try await consumer.committed(places)
            return ["offsets": places.map { committed[$0]?.json ?? $0.json + [-1, NSNull()] }]
        case "watermarks":
            let watermarks = try await consumer.watermarks(command.place())
            return ["low": Int(watermarks.low.rawValue), "high": Int(watermarks.high.rawValue)]
        case "lag":
            return ["lag": try await consumer.lag().map { $0.key.json + [Int($0.value)] }]
        case _: throw Arguments.Malformed(description: "\(op): nothing a consumer does")
        }
        return [String: Any]()
    }

    /// Waits for one event. A revocation is answered with the poll that returned it.
    private func poll(_ command: Arguments, _ consumer: Consumer) async throws -> Any {
        let timeout = Duration.milliseconds(try command.get("timeout_ms", Int.self))
        var records: [[String: Any]] = []
        var events: [[String: Any]] = []
        switch try await consumer.next(max: command.optional("max") ?? 500, within: timeout) {
        case nil: break
        case .records(let batch): records = batch.map(json)
        case .assigned(let places): events = [["assigned": places.map(\.json)]]
        case .revoked(let revocation):
            events = [["revoked": revocation.partitions.map(\.json)]]
            revocation.done()
        case .lost(let places): events = [["lost": places.map(\.json)]]
        case .end(let place, let offset): events = [["end": place.json + [Int(offset.rawValue)]]]
        case .fault(let fault): events = [["error": fault.json]]
        }
        return ["records": records, "events": events] as [String: Any]
    }

    private func json(_ record: Record) -> [String: Any] {
        [
            "topic": record.topic.rawValue, "partition": Int(record.partition.rawValue),
            "offset": Int(record.offset.rawValue), "key": KafkaDriver.json(record.keyBytes),
            "value": KafkaDriver.json(record.valueBytes),
            "headers": record.headers.map { [$0.name, KafkaDriver.json($0.value)] as [Any] },
            "timestamp": record.timestamp.map { Int($0) as Any } ?? NSNull(),
        ]
    }
}
