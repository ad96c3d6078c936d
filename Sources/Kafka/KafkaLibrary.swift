internal import CRdKafka

/// The librdkafka that this process runs with.
public enum KafkaLibrary {
    /// `2.0.2`
    public static var version: String { unsafe string(rd_kafka_version_str()) ?? "unknown" }

    /// Whether it can be told how long to leave a full queue alone: from 2.2 on.
    static let hasFetchBackoff = rd_kafka_version() >= 0x0202_0000
}
