internal import CRdKafka

/// librdkafka's in-process cluster: real sockets and the real protocol on 127.0.0.1, no log on disk.
///
/// It ends with the last reference; clients of it are to be closed before.
@safe public final class MockCluster: @unchecked Sendable {
    // Unchecked: both handles are constant and safe to use from any thread.
    private let client: OpaquePointer
    private let cluster: OpaquePointer
    /// What clients take for `brokers`.
    public let brokers: [String]

    public struct Failure: Error {
        public let reason: String
    }

    public init(brokers count: Int = 1) throws {
        let configuration = unsafe rd_kafka_conf_new()
        unsafe rd_kafka_conf_set(configuration, "log_level", "0", nil, 0)
        guard let client = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, configuration, nil, 0) else {
            unsafe rd_kafka_conf_destroy(configuration)
            throw Failure(reason: "no client for the mock cluster")
        }
        guard let cluster = unsafe rd_kafka_mock_cluster_new(client, Int32(count)) else {
            unsafe rd_kafka_destroy(client)
            throw Failure(reason: "no mock cluster")
        }
        unsafe self.client = client
        unsafe self.cluster = cluster
        brokers = unsafe String(cString: rd_kafka_mock_cluster_bootstraps(cluster)).split(separator: ",").map(
            String.init)
    }

    deinit {
        unsafe rd_kafka_mock_cluster_destroy(cluster)
        unsafe rd_kafka_destroy(client)
    }

    public func create(_ topic: String, partitions: Int) throws {
        let code = unsafe rd_kafka_mock_topic_create(cluster, topic, Int32(partitions), 1)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw Failure(reason: "topic \(topic): \(code.rawValue)") }
    }

    /// Has a broker lead a partition; which one does is chance otherwise.
    public func lead(_ topic: String, partition: Int32, broker: Int32) throws {
        let code = unsafe rd_kafka_mock_partition_set_leader(cluster, topic, partition, broker)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw Failure(reason: "leader of \(topic): \(code.rawValue)") }
    }

    /// The next requests of this kind get these errors, in order.
    public func fail(_ api: API, with errors: [Int32]) {
        let codes = errors.map { rd_kafka_resp_err_t(rawValue: $0) }
        unsafe rd_kafka_mock_push_request_errors_array(cluster, api.rawValue, codes.count, codes)
    }

    /// Requests by the protocol's number.
    public enum API: Int16, Sendable {
        case produce = 0
        case fetch = 1
        case offsetCommit = 8
    }

    /// From now on every question about the topic gets this error.
    public func fail(topic: String, with error: Int32) {
        unsafe rd_kafka_mock_topic_set_error(cluster, topic, rd_kafka_resp_err_t(rawValue: error))
    }

    /// From now on this broker leads the partition; the first is 1, and without any nobody answers for it.
    public func lead(_ topic: String, _ partition: Int32, by broker: Int32?) {
        unsafe _ = rd_kafka_mock_partition_set_leader(cluster, topic, partition, broker ?? -1)
    }

    /// From now on this broker coordinates the group; the first is 1, and which one does is chance otherwise.
    public func coordinate(group: String, by broker: Int32) {
        unsafe _ = rd_kafka_mock_coordinator_set(cluster, "group", group, broker)
    }

    /// Every answer of a broker takes this long; the first is 1. An hour is as good as a broker that is away: stopping
    /// one would end the process where another socket has got its port meanwhile.
    public func set(broker: Int32, roundTripMilliseconds: Int32) {
        unsafe _ = rd_kafka_mock_broker_set_rtt(cluster, broker, roundTripMilliseconds)
    }
}
