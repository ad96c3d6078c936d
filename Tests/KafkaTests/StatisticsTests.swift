import LocalBroker
import Platform
import Testing

@testable import Kafka

@Suite(.timeLimit(.minutes(2))) struct StatisticsTests {
    private func read(_ text: String) -> ClientStatistics? {
        var known: Set<Int64> = []
        return ClientStatistics(text, known: &known)
    }

    @Test func aDocumentIsReadAsFarAsItIsOne() throws {
        let statistics = try #require(
            read(
                """
                {"msg_cnt": 3, "msg_size": 300, "brokers": {
                    "a:1/bootstrap": {"nodeid": -1, "source": "configured", "state": "DOWN", "connects": 1, "disconnects": 1},
                    "GroupCoordinator": {"nodeid": 1, "source": "logical", "state": "UP", "tx": 5},
                    "a:1/1": {"nodeid": 1, "source": "learned", "state": "UP", "outbuf_cnt": 1, "waitresp_cnt": 2, "tx": 40,
                        "txerrs": 3, "rxerrs": 4, "req_timeouts": 5, "txretries": 6, "connects": 7, "disconnects": 6,
                        "rtt": {"avg": 1500, "p99": 9000, "cnt": 12}}},
                 "topics": {"t": {"partitions": {"0": {"fetchq_cnt": 2, "fetchq_size": 20}, "-1": {"fetchq_cnt": 1}}}}}
                """))
        #expect(statistics.queuedMessages == 3 && statistics.queuedBytes == 300)
        #expect(statistics.prefetchedMessages == 3 && statistics.prefetchedBytes == 20)
        #expect(statistics.brokers.map(\.name) == ["1", "bootstrap", "coordinator"])
        let broker = statistics.brokers[0]
        #expect(broker.isConnected && broker.meanRoundTrip == 1500 && broker.p99RoundTrip == 9000)
        #expect(broker.queued == 1 && broker.inFlight == 2 && broker.requests == 40 && broker.sendErrors == 3)
        #expect(broker.receiveErrors == 4 && broker.timeouts == 5 && broker.retries == 6)
        #expect(broker.connects == 7 && broker.disconnects == 6)
        #expect(!statistics.brokers[1].isConnected && statistics.brokers[1].meanRoundTrip == nil)
    }

    @Test(arguments: [
        "", "{", "[]", "7", "\"x\"", "null", "{\"brokers\": {\"a\": {\"tx\": 1}}} and more",
        String(repeating: "[", count: 100_000), "{\"a\":\"\\ud800\"}",
        "{\"x\":\"" + String(repeating: "y", count: ClientStatistics.mostBytes) + "\"}",
    ]) func whatIsNoDocumentIsNone(text: String) { #expect(read(text) == nil) }

    @Test(arguments: [
        "{}", "{\"brokers\": []}", "{\"brokers\": 7, \"topics\": \"x\", \"msg_cnt\": {}}",
        "{\"brokers\": {\"a\": 7, \"b\": null, \"c\": []}, \"topics\": {\"t\": 1, \"u\": {\"partitions\": [1]}}}",
        "{\"msg_cnt\": -1, \"msg_size\": 1e300, \"brokers\": {\"a\": {\"nodeid\": 1e99, \"tx\": -9223372036854775808}}}",
        "{\"msg_cnt\": 18446744073709551615, \"brokers\": {\"a\": {\"rtt\": {\"cnt\": 1, \"avg\": \"x\"}, \"state\": 7}}}",
    ]) func whatIsNoNumberIsNothing(text: String) throws {
        let statistics = try #require(read(text))
        #expect(statistics.queuedMessages == 0 && statistics.prefetchedMessages == 0)
        #expect(statistics.brokers.allSatisfy { $0.requests == 0 && !$0.isConnected && $0.name == "bootstrap" })
    }

    @Test func sumsEndWhereNumbersDo() throws {
        let most = "{\"nodeid\": 1, \"tx\": 9223372036854775807}"
        let partition = "{\"fetchq_cnt\": 9223372036854775807}"
        let statistics = try #require(
            read(
                """
                {"brokers": {"a": \(most), "b": \(most)}, "topics": {"t": {"partitions": {"0": \(partition), "1": \(partition)}}}}
                """))
        #expect(statistics.brokers.map(\.requests) == [.max])
        #expect(statistics.prefetchedMessages == .max)
    }

    /// However many brokers there are, and however often they are others: so many names, and the rest together.
    @Test func brokersAreBounded() {
        let figures = ClientFigures()
        var names: Set<String> = []
        for round in 0..<20 {
            let brokers = (0..<1000).map {
                "\"b\($0)\": {\"nodeid\": \(round * 1000 + $0), \"source\": \"learned\", \"tx\": 1}"
            }
            figures.note("producer", "{\"brokers\": {\(brokers.joined(separator: ","))}}")
            let told = figures.all.flatMap(\.statistics.brokers)
            #expect(told.map(\.requests).reduce(0, +) == 1000)
            names.formUnion(told.map(\.name))
        }
        #expect(names.count == ClientStatistics.mostBrokers + 1)
        #expect(names.contains("other"))
        figures.note("producer", "broken")
        #expect(figures.all.isEmpty)
    }

    @Test func aProducerAndAConsumerTellThem() async throws {
        try await BrokerFixture.with { broker in
            try await broker.withAdmin { _ = try await $0.create([NewTopic("told", partitions: 1)]) }
            let figures = ClientFigures()
            var client = broker.client
            client.statisticsInterval = .milliseconds(50)
            var producing = ProducerConfiguration(client)
            producing.client.tell(figures, as: "producer")
            let producer = try Producer(producing)
            var consuming = ConsumerConfiguration(client, group: "told")
            consuming.client.tell(figures, as: "consumer")
            let consumer = try Consumer(consuming)
            do {
                let records = (0..<50).map { OutgoingRecord(topic: "told", partition: 0, value: [UInt8($0)]) }
                #expect(try await producer.send(OutgoingBatch(records)).isAllDelivered)
                try await consumer.assign([TopicPartition("told", 0): .earliest])
                let end = ContinuousClock.now + .seconds(60)
                while true {
                    try #require(ContinuousClock.now < end, "\(figures.all)")
                    _ = try await consumer.nextAll(within: .milliseconds(20))
                    let told = Dictionary(uniqueKeysWithValues: figures.all.map { ($0.client, $0.statistics) })
                    let isThere = ["producer", "consumer"].allSatisfy { name in
                        told[name]?.brokers.contains { $0.isConnected && $0.requests > 0 && $0.connects > 0 } == true
                    }
                    if isThere { break }
                }
                figures.forget("consumer")
            } catch {
                await consumer.close()
                await producer.close()
                throw error
            }
            await consumer.close()
            await producer.close()
        }
    }

    @Test func howOftenIsASetting() throws {
        var settings = Settings(["KAFKA_BROKERS": "a:1", "LIBRDKAFKA_STATISTICS_INTERVAL_MS": "0"])
        #expect(ClientConfiguration.from(&settings)?.statisticsInterval == .zero)
        try settings.check()
        var plain = Settings(["KAFKA_BROKERS": "a:1"])
        #expect(ClientConfiguration.from(&plain)?.statisticsInterval == .seconds(10))
        var wrong = Settings(["KAFKA_BROKERS": "a:1", "LIBRDKAFKA_STATISTICS_INTERVAL_MS": "often"])
        _ = ClientConfiguration.from(&wrong)
        #expect(wrong.faults.map(\.name) == ["LIBRDKAFKA_STATISTICS_INTERVAL_MS"])
    }
}
