import Kafka
import Testing

@Suite struct ConfigurationTests {
    private func fault(_ body: () throws(KafkaFault) -> Void) -> KafkaFault? {
        do {
            try body()
            return nil
        } catch { return error }
    }

    @Test func everyWrongOptionIsListed() {
        var client = ClientConfiguration(brokers: [])
        client.extra = [
            "acks": "1", "no.such.option": "7", "socket.timeout.ms": "soon", "enable.auto.commit": "true",
            "group.id": "other", "enable.idempotence": "false", "client.rack": "a\0b", "linger.ms": "7",
        ]
        let fault = fault { () throws(KafkaFault) in _ = try Producer(ProducerConfiguration(client)) }
        #expect(fault?.kind == .configuration)
        #expect(fault?.isRetriable == false)
        for part in [
            "brokers", "acks", "no.such.option", "socket.timeout.ms", "enable.auto.commit", "group.id",
            "enable.idempotence", "client.rack", "linger.ms",
        ] {
            #expect(fault?.reason.contains(part) == true, "\(part) in \(fault?.reason ?? "nothing")")
        }
    }

    @Test func whatContradictsItselfIsToldAtOnce() {
        var producer = ProducerConfiguration(ClientConfiguration(brokers: ["127.0.0.1:1"]))
        producer.acknowledgements = .leader
        #expect(fault { () throws(KafkaFault) in _ = try Producer(producer) }?.kind == .configuration)
        let consumer = ConsumerConfiguration(ClientConfiguration(brokers: ["127.0.0.1:1"]), group: "")
        #expect(fault { () throws(KafkaFault) in _ = try Consumer(consumer) }?.reason.contains("group") == true)
    }

    @Test func linesOfTheLibraryGoToTheHook() async throws {
        let lines = Box<[String]>([])
        let (stream, arrived) = AsyncStream.makeStream(of: Void.self)
        var client = ClientConfiguration(brokers: ["127.0.0.1:1"])
        client.extra = ["debug": "broker"]
        client.hooks.log = { line in
            lines.change { $0.append(line.text) }
            arrived.yield()
        }
        let producer = try Producer(ProducerConfiguration(client))
        for await _ in stream { break }
        await producer.close()
        let consumer = try Consumer(ConsumerConfiguration(client, group: "g"))
        let before = lines.value.count
        for await _ in stream where lines.value.count > before { break }
        await consumer.close()
    }

    @Test func statisticsGoToTheHook() async throws {
        for opens in [true, false] {
            let (stream, arrived) = AsyncStream.makeStream(of: String.self)
            var client = ClientConfiguration(brokers: ["127.0.0.1:1"])
            client.hooks.statisticsInterval = .milliseconds(10)
            client.hooks.statistics = { arrived.yield($0) }
            let producer = opens ? try Producer(ProducerConfiguration(client)) : nil
            let consumer = opens ? nil : try Consumer(ConsumerConfiguration(client, group: "g"))
            for await json in stream {
                #expect(json.hasPrefix("{"))
                break
            }
            await producer?.close()
            await consumer?.close()
        }
    }
}
