import Flotilla
import Kafka
import MockCluster
import Platform
import TestSupport
import Testing

/// One broker of several hangs: connections stay, and nobody answers.
@Suite struct HungBrokerTests {
    @Test(.timeLimit(.minutes(3))) func theLagOfWhatOthersLeadStaysFresh() async throws {
        let cluster = try MockCluster(brokers: 3)
        cluster.coordinate(group: "flotilla.reader", by: 1)
        var places: [TopicPartition] = []
        for topic in ["events", "events.reader.replay"] as [TopicName] {
            try cluster.create(topic.rawValue, partitions: 12)
            for number in 0..<12 as Range<Int32> {
                cluster.lead(topic.rawValue, number, by: 1 + number % 3)
                places.append(TopicPartition(topic, Partition(number)))
            }
        }
        let hung = places.filter { $0.partition.rawValue % 3 == 1 }
        // Nothing is in any of them, so each has to be asked for what its group has committed.
        let worker = try cluster.worker()
        try await worker.runs {
            func looked() -> [TopicPartition: Int64] { worker.lags.mapValues(\.at) }
            try await eventually { looked().count == places.count }
            cluster.set(broker: 2, roundTripMilliseconds: 3_600_000)
            // A look that is over so long afterwards began afterwards.
            let then = Time.monotonicMilliseconds + WorkerSettings().lagPatience.milliseconds
            try await eventually { looked().count { $0.value > then } >= places.count - hung.count }
            let old = looked().filter { $0.value <= then }
            #expect(old.keys.sorted() == hung.sorted())
            // And it says so.
            #expect(try #require(worker.lagAge) >= 3000)
        }
    }
}
