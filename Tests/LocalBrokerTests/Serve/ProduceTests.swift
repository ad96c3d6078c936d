import Testing

@testable import LocalBroker

@Suite struct ProduceTests {
    private static let batch = TestBatch.bytes(BatchID(producer: -1, sequence: -1), valueBytes: 10)

    /// A core with topic `t` of one partition.
    private func bed() throws -> (CoreBed, CoreClient) {
        let bed = try CoreBed()
        let client = try bed.client()
        #expect(try bed.createTopic(client, "t") == 0)
        return (bed, client)
    }

    /// The same where nobody hears of anything before the disk has it.
    private func durableBed() throws -> (CoreBed, CoreClient) {
        let bed = try CoreBed(durability: .batch)
        let client = try bed.client()
        try bed.request(
            client, 19, 0,
            WireBody {
                $0.array(["t"]) { body, topic in
                    body.string(topic)
                    body.int32(1)
                    body.int16(1)
                    for _ in 0..<2 { body.int32(0) }
                }
                $0.int32(0)
            })
        #expect(try client.answer(now: bed.now) == nil)
        try bed.untilSettled { try client.answer(now: bed.now) != nil }
        return (bed, client)
    }

    private func end(of bed: CoreBed) -> Int64? { bed.core.topics["t"]?[0]?.log.logEnd }

    @Test func recordsOfUnknownTopicsAreRefusedOneByOne() throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        for (topic, partition) in [("nobody", Int32(0)), ("t", 1), ("t", -1), ("", 0)] {
            let answer = try bed.call(client, 0, 3, RawClient.produceBody(topic, partition, Self.batch))
            #expect(try RawClient.produced(answer) == RawClient.Produced(error: 3, offset: -1))
        }
        #expect(bed.core.topics.count == 1)
        #expect(end(of: bed) == 0)
    }

    @Test(arguments: [Int16(0), 1, 2]) func oldFormatsAreRefusedInOldWords(version: Int16) throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        let body = WireBody {
            $0.int16(1)
            $0.int32(1_000)
            $0.array(["t"]) { body, topic in
                body.string(topic)
                body.array([Int32(0)]) { body, partition in
                    body.int32(partition)
                    body.data([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20])
                }
            }
        }
        var answer = try bed.call(client, 0, version, body)
        let errors = try answer.array { topic in
            _ = try topic.string()
            return try topic.array { partition in
                let error = (try partition.int32(), try partition.int16()).1
                _ = try partition.int64()
                if version == 2 { _ = try partition.int64() }
                return error
            }
        }
        #expect(errors == [[43]])
        let throttle = version >= 1 ? try answer.int32() : 0
        #expect(throttle == 0)
        #expect(end(of: bed) == 0)
    }

    @Test func withoutAcknowledgementsNobodyIsTold() throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        try bed.request(client, 0, 3, RawClient.produceBody("t", 0, Self.batch, acks: 0))
        try bed.request(client, 0, 3, RawClient.produceBody("nobody", 0, Self.batch, acks: 0))
        // The answer behind them is the first that comes.
        let next = try bed.request(client, 18, 0, WireBody())
        bed.turn()
        #expect(try client.answer(now: bed.now)?.correlation == next)
        #expect(end(of: bed) == 1)
    }

    @Test(arguments: [Int16(5), -2, 2, .max]) func otherAcknowledgementsAreRefused(acks: Int16) throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        let answer = try bed.call(client, 0, 3, RawClient.produceBody("t", 0, Self.batch, acks: acks))
        #expect(try RawClient.produced(answer).error == 21)
        #expect(end(of: bed) == 0)
    }

    @Test func transactionsAreRefused() throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        var body = WireBody()
        body.string("transaction")
        let rest = RawClient.produceBody("t", 0, Self.batch).bytes.dropFirst(2)
        let answer = try bed.call(client, 0, 3, WireBody(body.bytes + rest))
        #expect(try RawClient.produced(answer).error == 53)
        #expect(try bed.initProducerID(client, transactional: "transaction").error == 53)
        var coordinator = try bed.call(
            client, 10, 1,
            WireBody {
                $0.string("transaction")
                $0.int8(1)
            })
        let (throttle, error) = (try coordinator.int32(), try coordinator.int16())
        #expect(throttle == 0 && error == 53)
        #expect(end(of: bed) == 0)
    }

    @Test func whatIsNoBatchIsRefused() throws {
        let (bed, client) = try bed()
        defer { bed.close() }
        var damaged = Self.batch
        damaged[damaged.count - 1] ^= 1
        let faults: [(what: String, records: [UInt8], error: Int16)] = [
            ("nothing", [], 42), ("damaged", damaged, 2), ("cut off", Array(Self.batch.dropLast()), 2),
        ]
        for (what, records, error) in faults {
            let answer = try bed.call(client, 0, 3, RawClient.produceBody("t", 0, records))
            #expect(try RawClient.produced(answer).error == error, "\(what)")
        }
        #expect(end(of: bed) == 0)
    }

    /// With durability `batch` neither the producer nor a consumer hears of it before the disk has it.
    @Test func nobodyHearsOfItBeforeTheDiskHasIt() throws {
        let (bed, producer) = try durableBed()
        defer { bed.close() }
        let consumer = try bed.client()
        try bed.request(consumer, 1, 4, RawClient.fetchBody("t", [(0, 0)], maxWait: 60_000))
        try bed.request(producer, 0, 3, RawClient.produceBody("t", 0, Self.batch))
        #expect(try producer.answer(now: bed.now) == nil)
        #expect(try consumer.answer(now: bed.now) == nil)
        var heard = (producer: false, consumer: false)
        try bed.untilSettled {
            if try producer.answer(now: bed.now) != nil { heard.producer = true }
            if try consumer.answer(now: bed.now) != nil { heard.consumer = true }
            return heard.producer && heard.consumer
        }
        #expect(bed.core.hasFinished || !bed.core.syncing.isEmpty)
    }

    /// As when the disk is slower than the time that a broker has to end. Else whoever embeds brokers would keep them all.
    @Test func whoWaitsForTheDiskWhenTheBrokerStopsIsFreedWithIt() throws {
        weak var partition: Partition?
        do {
            let (bed, client) = try durableBed()
            try bed.request(client, 0, 3, RawClient.produceBody("t", 0, Self.batch))
            partition = bed.core.topics["t"]?[0]
            #expect(partition?.waitingForDisk.count == 1)
            bed.close()
        }
        #expect(partition == nil)
    }
}
