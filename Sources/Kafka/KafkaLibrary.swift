internal import CRdKafka

/// The librdkafka that this process runs with.
public enum KafkaLibrary {
    /// `2.0.2`
    public static var version: String { unsafe string(rd_kafka_version_str()) ?? "unknown" }
}
