internal import Kafka
package import Model
package import Platform
internal import Redis

/// What a worker process is told by its environment.
package struct WorkSettings: Sendable {
    let client: ClientConfiguration
    package let redisURL: String?
    package let topicsFolder: String
    package let namespace: Namespace

    /// Reads them, or throws all that is wrong.
    package init(_ settings: Settings) throws(SettingFaults) {
        var settings = settings
        let client = ClientConfiguration.from(&settings)
        redisURL = settings.text("REDIS_URL")
        if let redisURL {
            do throws(RedisFault) {
                _ = try RedisConfiguration(url: redisURL)
            } catch { settings.refuse("REDIS_URL", error.reason) }
        }
        (topicsFolder, namespace) = TopicsPlace.files(&settings)
        try settings.check()
        // Without a client there was a fault.
        guard let client else {
            throw SettingFaults(faults: [SettingFault(name: "KAFKA_BROKERS", problem: "is not set")])
        }
        self.client = client
    }
}
