internal import CRdKafka

/// Where a record is, once it is acknowledged.
public struct Delivery: Hashable, Sendable {
    public let partition: Partition
    /// Nil when the broker had the record already from an attempt whose answer was lost, or acknowledges nothing.
    public let offset: Offset?

    public init(partition: Partition, offset: Offset?) {
        self.partition = partition
        self.offset = offset
    }
}

/// What became of each record of a batch, in the batch's order.
public struct DeliveryReport: Sendable, RandomAccessCollection {
    /// The verdict on one record, small because there may be thousands; the fault is made when it is asked for.
    struct Outcome {
        var offset: Int64 = -1
        var partition: Int32 = -1
        var code: Int32 = 0
    }

    let outcomes: [Outcome]
    let topics: [TopicName]
    /// The topic of each record, empty when there is but one.
    let topicNumbers: [Int32]
    /// How many were not delivered.
    public let failureCount: Int
    /// What made the producer useless, when something did.
    let fatal: KafkaFault?

    public var startIndex: Int { 0 }
    public var endIndex: Int { outcomes.count }
    public var isAllDelivered: Bool { failureCount == 0 }

    public subscript(index: Int) -> Result<Delivery, KafkaFault> {
        let outcome = outcomes[index]
        return outcome.result(topic: topics[topicNumbers.isEmpty ? 0 : Int(topicNumbers[index])], fatal: fatal)
    }

    /// The records that were not delivered, and why.
    public var failures: [(index: Int, fault: KafkaFault)] {
        guard failureCount > 0 else { return [] }
        return indices.compactMap { index in
            guard case .failure(let fault) = self[index] else { return nil }
            return (index, fault)
        }
    }
}

extension DeliveryReport {
    /// What a log within this process says of records.
    package init(_ results: [(topic: TopicName, result: Result<Delivery, KafkaFault>)]) {
        outcomes = results.map { _, result in
            switch result {
            case .success(let delivery):
                Outcome(offset: delivery.offset?.rawValue ?? -1, partition: delivery.partition.rawValue)
            case .failure(let fault):
                Outcome(partition: fault.site.partition?.rawValue ?? -1, code: fault.code.rawValue)
            }
        }
        topics = results.map(\.topic)
        topicNumbers = results.indices.map { Int32(clamping: $0) }
        failureCount = outcomes.count { $0.code != 0 }
        fatal = nil
    }
}

extension DeliveryReport.Outcome {
    func result(topic: TopicName, fatal: KafkaFault?) -> Result<Delivery, KafkaFault> {
        if code == 0 {
            return .success(
                Delivery(partition: Partition(partition), offset: offset >= 0 ? Offset(offset) : nil))
        }
        let native = rd_kafka_resp_err_t(rawValue: code)
        let site = KafkaFault.Site("produce", topic: topic, partition: partition >= 0 ? Partition(partition) : nil)
        // "Fatal" alone says nothing; what the client died of does.
        if native == RD_KAFKA_RESP_ERR__FATAL, let fatal {
            return .failure(KafkaFault(fatal.code, fatal.reason, at: site, isFatal: true))
        }
        return .failure(KafkaFault(native, at: site))
    }
}
