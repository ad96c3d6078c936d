import Testing

@testable import LocalBroker

// The requests that the tests need, in old versions whose encoding is plain.
extension RawClient {
    /// What a produce request is answered with.
    struct Produced: Equatable {
        let error: Int16
        let offset: Int64
    }

    static func produceBody(_ topic: String, _ partition: Int32, _ batch: [UInt8], acks: Int16 = -1) -> WireBody {
        WireBody {
            $0.string(nil)
            $0.int16(acks)
            $0.int32(30_000)
            $0.array([topic]) { body, topic in
                body.string(topic)
                body.array([partition]) { body, partition in
                    body.int32(partition)
                    body.data(batch)
                }
            }
        }
    }

    static func produced(_ answer: AnswerReader) throws -> Produced {
        var answer = answer
        let topics = try answer.array { topic in
            _ = try topic.string()
            return try topic.array { partition in
                _ = try partition.int32()
                let produced = Produced(error: try partition.int16(), offset: try partition.int64())
                _ = try partition.int64()
                return produced
            }
        }
        return try #require(topics.first?.first)
    }

    func produce(_ topic: String, _ partition: Int32, _ batch: [UInt8]) throws -> Produced {
        try Self.produced(try call(0, 3, Self.produceBody(topic, partition, batch)))
    }

    /// What a fetch gives of one partition.
    struct Fetched {
        let partition: Int32
        let error: Int16
        let highWatermark: Int64
        let records: [UInt8]
    }

    static func fetchBody(
        _ topic: String, _ offsets: [(partition: Int32, offset: Int64)], maxWait: Int32, minBytes: Int32 = 1,
        maxBytes: Int32 = 4 << 20
    ) -> WireBody {
        WireBody {
            $0.int32(-1)
            $0.int32(maxWait)
            $0.int32(minBytes)
            $0.int32(maxBytes)
            $0.int8(0)
            $0.array([topic]) { body, topic in
                body.string(topic)
                body.array(offsets) { body, asked in
                    body.int32(asked.partition)
                    body.int64(asked.offset)
                    body.int32(maxBytes)
                }
            }
        }
    }

    static func fetched(_ answer: AnswerReader) throws -> [Fetched] {
        var answer = answer
        _ = try answer.int32()
        return try answer.array { topic in
            _ = try topic.string()
            return try topic.array { partition in
                let (index, error, end) = (try partition.int32(), try partition.int16(), try partition.int64())
                _ = try partition.int64()
                _ = try partition.array { try $0.take(16) }
                return Fetched(
                    partition: index, error: error, highWatermark: end, records: try partition.data())
            }
        }.flatMap(\.self)
    }

    func fetch(
        _ topic: String, _ offsets: [(partition: Int32, offset: Int64)], maxWait: Int32 = 0, minBytes: Int32 = 1
    ) throws -> [Fetched] {
        try Self.fetched(try call(1, 4, Self.fetchBody(topic, offsets, maxWait: maxWait, minBytes: minBytes)))
    }

    /// Error code of making one topic.
    func createTopic(_ name: String, partitions: Int32 = 1, configs: [(String, String)] = []) throws -> Int16 {
        var answer = try call(
            19, 0,
            WireBody {
                $0.array([name]) { body, name in
                    body.string(name)
                    body.int32(partitions)
                    body.int16(1)
                    body.int32(0)
                    body.array(configs) { body, config in
                        body.string(config.0)
                        body.string(config.1)
                    }
                }
                $0.int32(30_000)
            })
        return try #require(try answer.array { topic in (try topic.string(), try topic.int16()) }.first).1
    }

    func deleteTopic(_ name: String) throws -> Int16 {
        var answer = try call(
            20, 0,
            WireBody {
                $0.array([name]) { $0.string($1) }
                $0.int32(30_000)
            })
        return try #require(try answer.array { topic in (try topic.string(), try topic.int16()) }.first).1
    }

    /// Error codes of the topics named, or of all there are.
    func metadata(_ names: [String]?, mayCreate: Bool = false) throws -> [String: Int16] {
        var answer = try call(
            3, 4,
            WireBody {
                if let names { $0.array(names) { $0.string($1) } } else { $0.int32(-1) }
                $0.int8(mayCreate ? 1 : 0)
            })
        _ = try answer.int32()
        _ = try answer.array { (try $0.int32(), try $0.string(), try $0.int32(), try $0.string()) }
        _ = (try answer.string(), try answer.int32())
        let topics = try answer.array { topic in
            let (error, name) = (try topic.int16(), try topic.string() ?? "")
            _ = try topic.int8()
            _ = try topic.array { partition in
                _ = (try partition.int16(), try partition.int32(), try partition.int32())
                _ = (try partition.array { try $0.int32() }, try partition.array { try $0.int32() })
            }
            return (name, error)
        }
        return Dictionary(topics) { $1 }
    }

    func initProducerID() throws -> (error: Int16, id: Int64) {
        var answer = try call(
            22, 0,
            WireBody {
                $0.string(nil)
                $0.int32(60_000)
            })
        _ = try answer.int32()
        return (try answer.int16(), try answer.int64())
    }

    func commitOffset(
        _ group: String, _ topic: String, _ partition: Int32, _ offset: Int64, metadata: String = ""
    ) throws -> Int16 {
        var answer = try call(
            8, 2,
            WireBody {
                $0.string(group)
                $0.int32(-1)
                $0.string("")
                $0.int64(-1)
                $0.array([topic]) { body, topic in
                    body.string(topic)
                    body.array([partition]) { body, partition in
                        body.int32(partition)
                        body.int64(offset)
                        body.string(metadata)
                    }
                }
            })
        let topics = try answer.array { topic in
            _ = try topic.string()
            return try topic.array { (try $0.int32(), try $0.int16()).1 }
        }
        return try #require(topics.first?.first)
    }

    func committedOffset(_ group: String, _ topic: String, _ partition: Int32) throws -> Int64 {
        var answer = try call(
            9, 1,
            WireBody {
                $0.string(group)
                $0.array([topic]) { body, topic in
                    body.string(topic)
                    body.array([partition]) { $0.int32($1) }
                }
            })
        let topics = try answer.array { topic in
            _ = try topic.string()
            return try topic.array { partition in
                let offset = (try partition.int32(), try partition.int64()).1
                _ = (try partition.string(), try partition.int16())
                return offset
            }
        }
        return try #require(topics.first?.first)
    }

    /// Error code of setting settings: type 2 is a topic, 4 the broker.
    func alterConfigs(type: Int8, name: String, _ configs: [(String, String)]) throws -> Int16 {
        var answer = try call(
            33, 0,
            WireBody {
                $0.array([name]) { body, name in
                    body.int8(type)
                    body.string(name)
                    body.array(configs) { body, config in
                        body.string(config.0)
                        body.string(config.1)
                    }
                }
                $0.int8(0)
            })
        _ = try answer.int32()
        return try #require(
            try answer.array { resource in
                let error = try resource.int16()
                _ = (try resource.string(), try resource.int8(), try resource.string())
                return error
            }.first)
    }

    /// The offset at a time: -1 is the end, -2 the beginning.
    func offset(_ topic: String, _ partition: Int32, at time: Int64) throws -> Int64 {
        var answer = try call(
            2, 1,
            WireBody {
                $0.int32(-1)
                $0.array([topic]) { body, topic in
                    body.string(topic)
                    body.array([partition]) { body, partition in
                        body.int32(partition)
                        body.int64(time)
                    }
                }
            })
        let topics = try answer.array { topic in
            _ = try topic.string()
            return try topic.array { partition in
                _ = (try partition.int32(), try partition.int16(), try partition.int64())
                return try partition.int64()
            }
        }
        return try #require(topics.first?.first)
    }

    /// That the broker serves.
    func ping() throws {
        var answer = try call(18, 0)
        #expect(try answer.int16() == 0)
    }
}
