import Testing

@testable import LocalBroker

@Suite struct CompactionTests {
    /// What a broker remembers apart from records.
    private struct Memory: Equatable {
        let cluster: String?
        let topics: [String: TopicEntry]
        let settings: BrokerSettings
        let producerIDsEnd: Int64
        let groups: [GroupRecord]

        init(_ core: BrokerCore) {
            cluster = core.catalog.clusterID
            topics = core.catalog.topics
            settings = core.catalog.settings
            producerIDsEnd = core.catalog.producerIDsEnd
            groups = core.groups.snapshot()
        }
    }

    @Test func thousandsOfCommitsLeaveASmallJournalAndAllThatCounts() throws {
        let bed = try CoreBed()
        let client = try bed.client()
        #expect(try bed.createTopics(client, [("t", 50), ("gone", 1), ("set", 2)]) == [0, 0, 0])
        #expect(try bed.alter(client, type: 2, "set", [("retention.ms", "5000")]) == 0)
        #expect(try bed.alter(client, type: 4, "", [("num.partitions", "3")]) == 0)
        let firstID = try bed.initProducerID(client).id
        let member = try bed.stableMember(client, "g")
        _ = try bed.commit(client, "gone-with-its-topic", "gone", [(0, 1)])
        #expect(try bed.deleteTopics(client, ["gone"]) == [0])

        var largest: Int64 = 0
        var rewrites = 0
        let padding = String(repeating: "m", count: 100)
        for round in 0..<600 {
            let before = bed.core.journal.size
            let offsets = (0..<50).map { (partition: Int32($0), offset: Int64(round)) }
            #expect(try bed.commit(client, "stored", "t", offsets, metadata: padding).allSatisfy { $0 == 0 })
            largest = max(largest, bed.core.journal.size)
            if bed.core.journal.size < before { rewrites += 1 }
        }
        // 30 000 commits are over 5 MB of history.
        #expect(rewrites >= 4)
        #expect(largest <= BrokerCore.smallestJournalToCompact)
        let memory = Memory(bed.core)
        #expect(memory.topics.keys.sorted() == ["set", "t"])
        bed.close()

        let second = try CoreBed(bed.folder)
        defer { second.close() }
        #expect(Memory(second.core) == memory)
        let again = try second.client()
        #expect(try second.committed(again, "stored", "t", [0, 49]) == [0: 599, 49: 599])
        #expect(second.core.groups.describe(group: "g").members.map(\.memberID) == [member])
        #expect(second.core.groups.groups["g"]?.generation == 1)
        #expect(second.core.topics["set"]?.entry.config.retentionMilliseconds == 5_000)
        #expect(second.core.catalog.settings.defaultPartitions == 3)
        // No id that was given out before is given out again.
        #expect(try second.initProducerID(again).id > firstID)
    }

    /// A journal that stays large because all of it counts is not rewritten over and over.
    @Test func whatAllCountsIsRewrittenSeldom() throws {
        let bed = try CoreBed()
        defer { bed.close() }
        let client = try bed.client()
        #expect(try bed.createTopic(client, "t", partitions: 100) == 0)
        let padding = String(repeating: "m", count: 4_000)
        let offsets = (0..<100).map { (partition: Int32($0), offset: Int64(1)) }
        var rewrites = 0
        for group in 0..<20 {
            let before = bed.core.journal.size
            _ = try bed.commit(client, "g\(group)", "t", offsets, metadata: padding)
            if bed.core.journal.size < before + 400_000 { rewrites += 1 }
        }
        #expect(bed.core.journal.size > 8_000_000)
        #expect(rewrites <= 2)
    }
}

extension CoreBed {
    fileprivate func alter(
        _ client: CoreClient, type: Int8, _ name: String, _ configs: [(String, String)]
    ) throws -> Int16 {
        var answer = try call(
            client, 33, 0,
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

    /// A group of one member that agrees; returns its id.
    fileprivate func stableMember(_ client: CoreClient, _ group: String) throws -> String {
        try request(
            client, 11, 0,
            WireBody {
                $0.string(group)
                $0.int32(30_000)
                $0.string("")
                $0.string("consumer")
                $0.array(["range"]) { body, name in
                    body.string(name)
                    body.data([0, 0, 0, 0, 0, 0])
                }
            })
        turn(after: 1_000)
        var joined = try #require(try client.answer(now: now)).body
        let (fault, generation) = (try joined.int16(), try joined.int32())
        #expect(fault == 0 && generation == 1)
        _ = (try joined.string(), try joined.string())
        let member = try joined.string() ?? ""
        var synced = try call(
            client, 14, 0,
            WireBody {
                $0.string(group)
                $0.int32(generation)
                $0.string(member)
                $0.array([member]) { body, member in
                    body.string(member)
                    body.data([1, 2, 3])
                }
            })
        let refusal = try synced.int16()
        #expect(refusal == 0)
        return member
    }
}
