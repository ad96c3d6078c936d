internal import AdminPort
internal import Kafka
internal import Model
internal import Redis

extension Health {
    /// What an edge depends on. `topics`: what clients may publish to, by its names on the broker.
    static func edge(
        _ admin: Admin, _ producer: LastingProducer, topics: Set<TopicName>, redis: RedisClient?, version: String
    ) -> Health {
        var probes = [
            Probe("kafka") {
                do throws(KafkaFault) {
                    let found = try await admin.topics()
                    let missing = topics.filter { found[$0] == nil }.sorted()
                    guard !missing.isEmpty else { return producer.trouble }
                    return
                        "the broker has no \(missing.map(\.rawValue).joined(separator: ", ")): run `flotilla topics apply`"
                } catch { return "\(error)" }
            }
        ]
        if let redis {
            // Without it keys are not verified, and events are published all the same.
            probes.append(Probe("redis", isNeeded: false) { await redis.trouble(within: .seconds(1)) })
        }
        return Health(version: version, probes: probes)
    }
}
