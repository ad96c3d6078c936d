import Testing

@testable import LocalBroker

@Suite struct RequestTests {
    /// KIP-511: who asks in words too new is told, in the oldest, which there are.
    @Test(arguments: [Int16(4), 99, .max]) func aVersionTooNewLearnsWhichThereAre(version: Int16) throws {
        let bed = try CoreBed()
        defer { bed.close() }
        let client = try bed.client()
        var answer = try bed.call(client, 18, version, WireBody([9, 9, 9]))
        let error = try answer.int16()
        #expect(error == 35)
        let ranges = try answer.array { (try $0.int16(), try $0.int16(), try $0.int16()) }
        #expect(ranges.first { $0.0 == 18 }?.2 == 3)
        #expect(ranges.count > 20)
    }

    /// What cannot be read closes the connection, and has had no effect.
    @Test func whatCannotBeReadIsAFault() throws {
        let bed = try CoreBed()
        defer { bed.close() }
        let client = try bed.client()
        let bodies: [(api: Int16, version: Int16, body: WireBody)] = [
            (18, -1, WireBody()), (3, 13, WireBody()), (999, 0, WireBody()), (3, 1, WireBody()),
            (3, 1, WireBody { $0.int32(.max) }), (3, 1, WireBody { $0.int32(-2) }),
            // A good topic, and then the end.
            (
                19, 0,
                WireBody {
                    $0.int32(2)
                    $0.string("t")
                    $0.int32(1)
                    $0.int16(1)
                    for _ in 0..<2 { $0.int32(0) }
                }
            ),
        ]
        for (api, version, body) in bodies {
            #expect(throws: WireFault.self, "\(api) \(version)") { try bed.request(client, api, version, body) }
        }
        #expect(bed.core.topics.isEmpty)
        #expect(!client.connection.hasUnfinishedAnswers)
    }

    // MARK: What is named twice

    private func listOffsets(_ bed: CoreBed, _ client: CoreClient, _ partitions: [Int32], at time: Int64) throws
        -> [Int16]
    {
        var answer = try bed.call(
            client, 2, 1,
            WireBody {
                $0.int32(-1)
                $0.array(["t"]) { body, topic in
                    body.string(topic)
                    body.array(partitions) { body, partition in
                        body.int32(partition)
                        body.int64(time)
                    }
                }
            })
        return try answer.array { topic in
            _ = try topic.string()
            return try topic.array { partition in
                let error = (try partition.int32(), try partition.int16()).1
                _ = (try partition.int64(), try partition.int64())
                return error
            }
        }.flatMap(\.self)
    }

    @Test func aPartitionHasOneLookupARequest() throws {
        let bed = try CoreBed()
        defer { bed.close() }
        let client = try bed.client()
        #expect(try bed.createTopic(client, "t", partitions: 2) == 0)
        #expect(try listOffsets(bed, client, [0, 1, 0, 7], at: 5) == [0, 0, 42, 3])
        #expect(try listOffsets(bed, client, [0], at: -9) == [42])
    }

    @Test func aPartitionHasOneDeletionARequest() throws {
        let bed = try CoreBed()
        defer { bed.close() }
        let client = try bed.client()
        #expect(try bed.createTopic(client, "t") == 0)
        for sequence in Int32(0)...2 { _ = try bed.produce(client, "t", 0, sequence) }
        var answer = try bed.call(
            client, 21, 0,
            WireBody {
                $0.array(["t"]) { body, topic in
                    body.string(topic)
                    body.array([(0, 1), (0, 2), (4, 0)] as [(Int32, Int64)]) { body, asked in
                        body.int32(asked.0)
                        body.int64(asked.1)
                    }
                }
                $0.int32(0)
            })
        _ = try answer.int32()
        let told = try answer.array { topic in
            _ = try topic.string()
            return try topic.array { "\(try $0.int32()) \(try $0.int64()) \(try $0.int16())" }
        }
        #expect(told == [["0 1 0", "0 -1 42", "4 -1 3"]])
        #expect(bed.core.topics["t"]?[0]?.log.logStart == 1)
    }

    @Test func aTopicsSettingsChangeOnceARequest() throws {
        let bed = try CoreBed()
        defer { bed.close() }
        let client = try bed.client()
        #expect(try bed.createTopic(client, "t") == 0)
        for (api, extra) in [(Int16(33), [UInt8]()), (44, [0])] {
            var answer = try bed.call(
                client, api, 0,
                WireBody {
                    $0.array(["1000", "2000"]) { body, value in
                        body.int8(2)
                        body.string("t")
                        body.array(["retention.ms"]) { body, name in
                            body.string(name)
                            for byte in extra { body.int8(Int8(byte)) }
                            body.string(value)
                        }
                    }
                    $0.int8(0)
                })
            _ = try answer.int32()
            let errors = try answer.array { resource in
                let error = try resource.int16()
                _ = (try resource.string(), try resource.int8(), try resource.string())
                return error
            }
            #expect(errors == [0, 42])
            #expect(bed.core.topics["t"]?.entry.config.retentionMilliseconds == 1_000)
        }
    }

    @Test func anOffsetIsToldOnce() throws {
        let bed = try CoreBed()
        defer { bed.close() }
        let client = try bed.client()
        #expect(try bed.createTopic(client, "t", partitions: 2) == 0)
        #expect(try bed.commit(client, "g", "t", [(0, 7), (1, 8), (2, 9)]) == [0, 0, 3])
        #expect(try bed.committed(client, "g", "t", [1, 0, 1, 1, 5]) == [1: 8, 0: 7, 5: -1])
    }

    // MARK: Groups

    @Test func deletedTopicsTakeTheirOffsetsAlong() throws {
        let bed = try CoreBed()
        let client = try bed.client()
        #expect(try bed.createTopics(client, [("t", 1), ("u", 1), ("v", 1)]) == [0, 0, 0])
        for topic in ["t", "u", "v"] { _ = try bed.commit(client, "g", topic, [(0, 5)]) }
        #expect(try bed.deleteTopics(client, ["t", "v", "t", "w"]) == [0, 0, 3, 3])
        #expect(try bed.createTopic(client, "t") == 0)
        for again in [false, true] {
            #expect(bed.core.groups.fetchAll(group: "g").map(\.partition.topic) == ["u"], "restarted: \(again)")
            guard !again else { break }
            bed.close()
            let second = try CoreBed(bed.folder)
            #expect(second.core.groups.fetchAll(group: "g").map(\.partition.topic) == ["u"])
            second.close()
        }
    }

    /// Members are told of up to a bound, and one group more: else one answer could be all the memory there is.
    @Test func manyLargeGroupsAreNotDescribedAtOnce() throws {
        let bed = try CoreBed()
        defer { bed.close() }
        let client = try bed.client()
        let names = (0..<6).map { "g\($0)" }
        let large = GroupProtocol(name: "range", metadata: [UInt8](repeating: 0, count: 1_000_000))
        for (number, name) in names.enumerated() {
            for member in 0..<5 {
                _ = bed.core.groups.join(
                    GroupWorld.joinRequest(name, instance: "i\(member)", protocols: [large]),
                    ReplyToken(rawValue: UInt64(1_000 + 10 * number + member)), now: bed.now)
            }
        }
        var answer = try bed.call(client, 15, 0, WireBody { $0.array(names + names) { $0.string($1) } })
        let described = try answer.array { group in
            let told = (error: try group.int16(), name: try group.string() ?? "")
            _ = (try group.string(), try group.string(), try group.string())
            _ = try group.array { member in
                _ = (try member.string(), try member.string(), try member.string())
                _ = (try member.data(), try member.data())
            }
            return told
        }
        #expect(described.map(\.name) == names)
        #expect(described.map(\.error) == [0, 0, 0, 0, 10, 10])
    }

    /// A member whose connection breaks has a session's time to come back, as the broker hears of the break.
    @Test func aMemberBehindABrokenConnectionIsNoticed() throws {
        let bed = try CoreBed()
        defer { bed.close() }
        let (client, other) = (try bed.client(), try bed.client())
        for client in [client, other] {
            try bed.request(
                client, 11, 2,
                WireBody {
                    $0.string("g")
                    for _ in 0..<2 { $0.int32(6_000) }
                    $0.string("")
                    $0.string("consumer")
                    $0.array(["range"]) { body, name in
                        body.string(name)
                        body.data([0, 0, 0, 0, 0, 0])
                    }
                })
        }
        #expect(bed.core.owedGroupAnswers.count == 2)
        bed.hangUp(client)
        #expect(bed.core.owedGroupAnswers.count == 1)
        #expect(bed.core.owedByConnection.count == 1)
        #expect(bed.core.groups.context.seats.count == 1)
        // The first round is drawn out once, as somebody came.
        for _ in 0..<2 { bed.turn(after: 500) }
        #expect(try other.answer(now: bed.now) != nil)
        #expect(bed.core.owedByConnection.isEmpty)
        #expect(bed.core.groups.groups["g"]?.members.count == 2)
        bed.turn(after: 5_500)
        #expect(bed.core.groups.groups["g"]?.members.count == 1)
    }
}
