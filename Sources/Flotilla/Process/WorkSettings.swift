internal import Kafka
package import Model
package import Platform
internal import Redis

/// What a worker process is told by its environment.
package struct WorkSettings: Sendable {
    package var brokers: [String]
    /// librdkafka's own options, from `LIBRDKAFKA_<OPTION>`.
    package var kafkaOptions: [String: String]
    package var redisURL: String?
    package var topicsFolder: String
    package var namespace: Namespace

    /// Reads them; what is wrong is noted in `settings`, all of it.
    package init(_ settings: inout Settings) {
        brokers = settings.list("KAFKA_BROKERS") ?? settings.list("KAFKA_BOOTSTRAP_SERVERS") ?? []
        if brokers.isEmpty { settings.refuse("KAFKA_BROKERS", "is not set: expected HOST:PORT of a broker, or several") }
        kafkaOptions = ClientConfiguration.extra(fromEnvironment: settings.all)
        redisURL = settings.text("REDIS_URL")
        if let redisURL {
            do throws(RedisFault) {
                _ = try RedisConfiguration(url: redisURL)
            } catch { settings.refuse("REDIS_URL", error.reason) }
        }
        topicsFolder = settings.text("FLOTILLA_TOPICS") ?? "./topics"
        namespace = Self.namespace(&settings)
    }

    /// The prefix of everything on shared servers.
    static func namespace(_ settings: inout Settings) -> Namespace {
        let name = settings.value(
            "FLOTILLA_NAMESPACE", expected: "lower-case letters, digits and dashes, 32 at most"
        ) { text in
            let isPlain = text.utf8.allSatisfy {
                (97...122).contains($0) || (48...57).contains($0) || $0 == UInt8(ascii: "-")
            }
            return isPlain && text.utf8.count <= 32 ? text : nil
        }
        return Namespace(name ?? "")
    }

    var client: ClientConfiguration {
        var client = ClientConfiguration(brokers: brokers)
        client.extra = kafkaOptions
        return client
    }
}
