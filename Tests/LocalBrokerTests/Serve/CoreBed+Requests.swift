import Testing

@testable import LocalBroker

// The requests that most tests begin with.
extension CoreBed {
    func createTopic(_ client: CoreClient, _ name: String, partitions: Int32 = 1) throws -> Int16 {
        try createTopics(client, [(name, partitions)])[0]
    }

    func createTopics(_ client: CoreClient, _ topics: [(name: String, partitions: Int32)]) throws -> [Int16] {
        var answer = try call(
            client, 19, 0,
            WireBody {
                $0.array(topics) { body, topic in
                    body.string(topic.name)
                    body.int32(topic.partitions)
                    body.int16(1)
                    for _ in 0..<2 { body.int32(0) }
                }
                $0.int32(30_000)
            })
        return try answer.array { topic in
            _ = try topic.string()
            return try topic.int16()
        }
    }

    func deleteTopics(_ client: CoreClient, _ names: [String]) throws -> [Int16] {
        var answer = try call(
            client, 20, 0,
            WireBody {
                $0.array(names) { $0.string($1) }
                $0.int32(30_000)
            })
        return try answer.array { topic in
            _ = try topic.string()
            return try topic.int16()
        }
    }

    /// Produces a batch of one record.
    func produce(
        _ client: CoreClient, _ topic: String, _ partition: Int32, _ sequence: Int32, valueBytes: Int = 10
    ) throws -> RawClient.Produced {
        // Each by another producer, so that none has to be the next of another.
        let batch = TestBatch.bytes(
            BatchID(producer: Int64(sequence) + 1_000 * Int64(partition), sequence: 0), valueBytes: valueBytes)
        return try RawClient.produced(try call(client, 0, 3, RawClient.produceBody(topic, partition, batch)))
    }

    /// Stores offsets of partitions of one topic; returns their error codes.
    func commit(
        _ client: CoreClient, _ group: String, _ topic: String, _ offsets: [(partition: Int32, offset: Int64)],
        metadata: String = ""
    ) throws -> [Int16] {
        var answer = try call(
            client, 8, 2,
            WireBody {
                $0.string(group)
                $0.int32(-1)
                $0.string("")
                $0.int64(-1)
                $0.array([topic]) { body, topic in
                    body.string(topic)
                    body.array(offsets) { body, asked in
                        body.int32(asked.partition)
                        body.int64(asked.offset)
                        body.string(metadata)
                    }
                }
            })
        return try answer.array { topic in
            _ = try topic.string()
            return try topic.array { (try $0.int32(), try $0.int16()).1 }
        }.flatMap(\.self)
    }

    /// Offsets by partition of one topic.
    func committed(_ client: CoreClient, _ group: String, _ topic: String, _ partitions: [Int32]) throws -> [Int32:
        Int64]
    {
        var answer = try call(
            client, 9, 1,
            WireBody {
                $0.string(group)
                $0.array([topic]) { body, topic in
                    body.string(topic)
                    body.array(partitions) { $0.int32($1) }
                }
            })
        let found = try answer.array { topic in
            _ = try topic.string()
            return try topic.array { partition in
                let offset = (try partition.int32(), try partition.int64())
                _ = (try partition.string(), try partition.int16())
                return offset
            }
        }.flatMap(\.self)
        // A partition that is told of twice is a fault here.
        return Dictionary(uniqueKeysWithValues: found)
    }

    func initProducerID(_ client: CoreClient, transactional: String? = nil) throws -> (error: Int16, id: Int64) {
        var answer = try call(
            client, 22, 0,
            WireBody {
                $0.string(transactional)
                $0.int32(60_000)
            })
        _ = try answer.int32()
        return (try answer.int16(), try answer.int64())
    }
}
