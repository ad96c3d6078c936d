import Testing

@testable import LocalBroker

@Suite struct FetchTests {
    private func bed(_ topics: [(name: String, partitions: Int32)] = [("t", 2)]) throws -> (CoreBed, CoreClient) {
        let bed = try CoreBed()
        let client = try bed.client()
        for topic in topics { #expect(try bed.createTopic(client, topic.name, partitions: topic.partitions) == 0) }
        return (bed, client)
    }

    private func fetch(
        _ bed: CoreBed, _ client: CoreClient, _ offsets: [(partition: Int32, offset: Int64)], topic: String = "t",
        maxWait: Int32 = 0, minBytes: Int32 = 1, maxBytes: Int32 = 4 << 20
    ) throws -> [RawClient.Fetched] {
        let body = RawClient.fetchBody(topic, offsets, maxWait: maxWait, minBytes: minBytes, maxBytes: maxBytes)
        return try RawClient.fetched(try bed.call(client, 1, 4, body))
    }

    @Test func whatIsNotThereIsSaidAtOnce() throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        let unknown = try fetch(bed, client, [(0, 0)], topic: "nobody", maxWait: 60_000)
        #expect(unknown.map(\.error) == [3])
        #expect(try fetch(bed, client, [(2, 0), (-1, 0)], maxWait: 60_000).map(\.error) == [3, 3])
        #expect(try bed.produce(client, "t", 0, 1) == RawClient.Produced(error: 0, offset: 0))
        for offset in [Int64(2), -1, .max, .min] {
            let answer = try fetch(bed, client, [(0, offset)], maxWait: 60_000)
            #expect(answer.map(\.error) == [1], "\(offset)")
            #expect(answer.map(\.records.isEmpty) == [true])
        }
        // One that is wrong does not hold back what the others have.
        let mixed = try fetch(bed, client, [(0, 0), (1, 9)], maxWait: 60_000)
        #expect(mixed.map(\.error) == [0, 1])
        #expect(mixed[0].highWatermark == 1)
        #expect(!mixed[0].records.isEmpty)
    }

    @Test func theFirstBatchComesWholeHoweverLittleIsAllowed() throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        for partition in Int32(0)...1 {
            for sequence in Int32(0)...1 { _ = try bed.produce(client, "t", partition, sequence) }
        }
        for maxBytes in [Int32(0), 1, .min] {
            let answer = try fetch(bed, client, [(0, 0), (1, 0)], maxBytes: maxBytes)
            #expect(try answer.map { try TestBatch.stored(in: $0.records).map(\.offset) } == [[0], []], "\(maxBytes)")
        }
        // With nothing there, nothing comes, and it is waited for.
        let correlation = try bed.request(
            client, 1, 4, RawClient.fetchBody("t", [(0, 2)], maxWait: 10, minBytes: 0, maxBytes: 0))
        bed.turn()
        #expect(try client.answer(now: bed.now)?.correlation == correlation, "no minimum is reached at once")
    }

    /// Else whoever embeds brokers, one after the other, would keep them all.
    @Test func whoWaitsWhenTheBrokerStopsIsFreedWithIt() throws {
        weak var partition: Partition?
        do {
            let (bed, client) = try bed()
            try bed.request(client, 1, 4, RawClient.fetchBody("t", [(0, 0)], maxWait: 60_000))
            partition = bed.core.topics["t"]?[0]
            #expect(partition?.waitingForRecords.count == 1)
            bed.close()
        }
        #expect(partition == nil)
    }

    @Test func tooLittleWaitsForItsTimeAndEnoughDoesNot() throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        let producer = try bed.client()
        let body = RawClient.fetchBody("t", [(0, 0), (1, 0)], maxWait: 500, minBytes: 1_000)
        try bed.request(client, 1, 4, body)
        bed.turn()
        _ = try bed.produce(producer, "t", 0, 0, valueBytes: 100)
        bed.turn(after: 499)
        #expect(try client.answer(now: bed.now) == nil)
        #expect(bed.core.nextDeadline == bed.now + 1)
        bed.turn(after: 1)
        let late = try RawClient.fetched(try #require(try client.answer(now: bed.now)).body)
        #expect(late.map(\.highWatermark) == [1, 0])
        #expect(try TestBatch.stored(in: late[0].records).count == 1)

        try bed.request(client, 1, 4, body)
        bed.turn()
        _ = try bed.produce(producer, "t", 1, 1, valueBytes: 1_000)
        let early = try RawClient.fetched(try #require(try client.answer(now: bed.now)).body)
        #expect(early.map(\.highWatermark) == [1, 1])
        #expect(bed.core.topics["t"]?.partitions.allSatisfy { $0.waitingForRecords.isEmpty } == true)
        // Its time comes, and nobody is there any more.
        bed.turn(after: 1_000)
        #expect(try client.answer(now: bed.now) == nil)
    }

    @Test func aDeletedTopicEndsWhatWaitsForIt() throws {
        let (bed, client) = try bed([("t", 1), ("u", 1)])
        defer { bed.close() }
        let other = try bed.client()
        try bed.request(client, 1, 4, RawClient.fetchBody("t", [(0, 0)], maxWait: 60_000))
        try bed.request(other, 1, 4, RawClient.fetchBody("u", [(0, 0)], maxWait: 60_000))
        bed.turn()
        let admin = try bed.client()
        #expect(try bed.deleteTopics(admin, ["t"]) == [0])
        let ended = try RawClient.fetched(try #require(try client.answer(now: bed.now)).body)
        #expect(ended.map(\.error) == [3])
        #expect(try other.answer(now: bed.now) == nil)
    }

    /// A partition that is named again costs the client nothing, and must not cost the broker anything.
    @Test func aPartitionIsLookedAtOnce() throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        _ = try bed.produce(client, "t", 1, 0)
        let asked = [(partition: Int32(1), offset: Int64(0))] + (0..<5_000).map { _ in (Int32(0), Int64(0)) }
        let answer = try fetch(bed, client, asked)
        #expect(answer.map(\.partition) == [1, 0])
        try bed.request(client, 1, 4, RawClient.fetchBody("t", asked + [], maxWait: 60_000, minBytes: 1 << 20))
        #expect(bed.core.topics["t"]?.partitions.map(\.waitingForRecords.count) == [1, 1])
    }

    /// Clients that come, wait for what never comes, and go.
    @Test func whatTheGoneWaitedForIsForgotten() throws {
        let (bed, client) = try bed([("t", 1)])
        defer { bed.close() }
        for _ in 0..<3_000 {
            let passing = try bed.client()
            try bed.request(passing, 1, 4, RawClient.fetchBody("t", [(0, 0)], maxWait: 60_000))
            bed.turn()
            bed.hangUp(passing)
        }
        let waiting = try #require(bed.core.topics["t"]?[0]?.waitingForRecords.count)
        #expect(waiting <= 1_025, "the timers are tidied past a thousand")
        _ = try bed.produce(client, "t", 0, 0)
        #expect(bed.core.topics["t"]?[0]?.waitingForRecords.isEmpty == true)
    }

    @Test func sessionsAreDeclined() throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        func body(session: Int32) -> WireBody {
            WireBody {
                for field in [Int32(-1), 0, 1, 1 << 20] { $0.int32(field) }
                $0.int8(0)
                $0.int32(session)
                $0.int32(session == 0 ? 0 : 7)
                $0.array(["t"]) { body, topic in
                    body.string(topic)
                    body.array([Int32(0)]) { body, partition in
                        body.int32(partition)
                        for _ in 0..<2 { body.int64(0) }
                        body.int32(1 << 20)
                    }
                }
                $0.array([Int32]()) { $0.int32($1) }
            }
        }
        var offered = try bed.call(client, 1, 7, body(session: 0))
        let first = [try offered.int32(), Int32(try offered.int16()), try offered.int32()]
        #expect(first == [0, 0, 0])
        var named = try bed.call(client, 1, 7, body(session: 99))
        let second = [try named.int32(), Int32(try named.int16()), try named.int32()]
        #expect(second == [0, 70, 0])
        let topics = try named.int32()
        #expect(topics == 0)
    }
}
