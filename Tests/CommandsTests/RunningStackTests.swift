import Testing

@testable import Commands

@Suite struct RunningStackTests {
    private let places = [
        "KAFKA_BROKERS": "127.0.0.1:9092", "REDIS_URL": "unix:///s/redis.sock", "FLOTILLA_TOPICS": "/fleet/topics",
    ]

    @Test func fillsInWhatIsNotSet() {
        #expect(RunningStack.missing(places, in: ["HOME": "/root"]) == places)
        #expect(
            RunningStack.missing(places, in: ["KAFKA_BROKERS": "127.0.0.1:9092"])
                == ["REDIS_URL": "unix:///s/redis.sock", "FLOTILLA_TOPICS": "/fleet/topics"])
        // Where topic files are looked for says nothing of the place.
        #expect(RunningStack.missing(places, in: ["FLOTILLA_TOPICS": "./mine"])["FLOTILLA_TOPICS"] == nil)
        #expect(RunningStack.missing(places, in: ["FLOTILLA_TOPICS": "./mine"]).count == 2)
    }

    /// No command may mix two places.
    @Test func usesNothingWhenSettingsAreAboutAnotherPlace() {
        for other in [
            ["KAFKA_BROKERS": "elsewhere:9092"], ["REDIS_URL": "redis://elsewhere"], ["REDIS_URL_FILE": "/run/secret"],
            ["KAFKA_BOOTSTRAP_SERVERS": "elsewhere:9092"], ["KAFKA_BOOTSTRAP_SERVERS_FILE": "/run/brokers"],
        ] {
            #expect(RunningStack.missing(places, in: other) == [:])
            #expect(RunningStack.others(places, in: other) == Array(other.keys))
        }
        let same = RunningStack.missing(places, in: ["KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092"])
        // Both names at once would be a fault.
        #expect(same["KAFKA_BROKERS"] == nil && same["REDIS_URL"] != nil)
    }
}
