import Kafka
import Platform
import Testing

@Suite struct SettingsTests {
    @Test func theClientIsWhatTheSettingsSay() throws {
        var settings = Settings([
            "KAFKA_BROKERS": "a:1, [::1]:2", "LIBRDKAFKA_SOCKET_TIMEOUT_MS": "5000", "KAFKA_PORT": "x",
            "LIBRDKAFKA_COMPRESSION_TYPE": "zstd",
        ])
        let client = try #require(ClientConfiguration.from(&settings))
        try settings.check()
        #expect(client.brokers == ["a:1", "[::1]:2"])
        #expect(client.extra == ["socket.timeout.ms": "5000"])
        #expect(ProducerConfiguration(client).compression == .zstd)
        var other = Settings(["KAFKA_BOOTSTRAP_SERVERS": "b:9092"])
        #expect(ClientConfiguration.from(&other)?.brokers == ["b:9092"])
    }

    @Test func everythingThatIsWrongIsTold() {
        var settings = Settings([
            "KAFKA_BROKERS": "a", "KAFKA_BOOTSTRAP_SERVERS": "b:1", "LIBRDKAFKA_ACKS": "1",
            "LIBRDKAFKA_ENABLE_IDEMPOTENCE": "false", "LIBRDKAFKA_GROUP_ID": "g", "LIBRDKAFKA_NO_SUCH": "hunter2",
            "LIBRDKAFKA_DELIVERY_REPORT_ONLY_ERROR": "true", "LIBRDKAFKA_TEST_MOCK_NUM_BROKERS": "1",
            "LIBRDKAFKA_ENABLE_AUTO_COMMIT": "true", "LIBRDKAFKA_SSL_CA_LOCATION_FILE": "/nowhere",
            "LIBRDKAFKA_COMPRESSION_TYPE": "brotli",
        ])
        #expect(ClientConfiguration.from(&settings) == nil)
        #expect(
            settings.faults.map(\.name) == [
                "KAFKA_BOOTSTRAP_SERVERS", "LIBRDKAFKA_COMPRESSION_TYPE", "LIBRDKAFKA_ACKS",
                "LIBRDKAFKA_DELIVERY_REPORT_ONLY_ERROR",
                "LIBRDKAFKA_ENABLE_AUTO_COMMIT", "LIBRDKAFKA_ENABLE_IDEMPOTENCE", "LIBRDKAFKA_GROUP_ID",
                "LIBRDKAFKA_NO_SUCH", "LIBRDKAFKA_SSL_CA_LOCATION_FILE", "LIBRDKAFKA_TEST_MOCK_NUM_BROKERS",
                "KAFKA_BROKERS",
            ])
        #expect(settings.faults.allSatisfy { !$0.description.contains("hunter2") })
        var nothing = Settings([:])
        #expect(ClientConfiguration.from(&nothing) == nil)
        #expect(nothing.faults.map(\.description) == ["KAFKA_BROKERS is not set: expected HOST:PORT,HOST:PORT"])
    }
}
