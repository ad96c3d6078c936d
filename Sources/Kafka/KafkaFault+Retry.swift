internal import CRdKafka

extension KafkaFault {
    /// Whether the same thing, tried again later and unchanged, can succeed. This is the one place that decides it.
    ///
    /// Important: trying again does not mean that nothing happened. A record whose delivery timed out may have been
    /// written; publishing it again may write it twice.
    public var isRetriable: Bool {
        // The client is beyond help whatever the code; a new client may fare better, this one will not.
        if isFatal { return false }
        switch kind {
        // The queue drains, brokers come back, and a slow answer says nothing about the next one.
        case .queueFull, .unreachable, .timedOut: return true
        // The group settles; the one who asks must look at its new assignment first.
        case .rebalancing: return true
        // A topic that was just created is unknown until every broker has heard of it.
        case .unknownTopic: return true
        // The client gave the record up while closing; another client can publish it.
        case .purged: return true
        // The same bytes stay too large, and the same arguments stay wrong.
        case .tooLarge, .invalid, .configuration: return false
        // Partitions are only added by people, rights only given by people: nothing heals in the time of a retry.
        case .unknownPartition, .denied: return false
        // Someone else does our work now; trying again would be fighting.
        case .fenced: return false
        // It stays there, or stays away, until someone changes that.
        case .exists, .unknownGroup: return false
        // A closed client stays closed; a cancelled task does not want to.
        case .closed, .cancelled: return false
        case _: return Self.isPassing(code.native)
        }
    }

    /// The codes without a kind of their own that name a passing state of the cluster.
    private static func isPassing(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        // Leaders and coordinators move, and are found again.
        case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            RD_KAFKA_RESP_ERR_NOT_CONTROLLER, RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
            RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR__WAIT_COORD:
            true
        // Replicas catch up, disks are repaired, quotas refill.
        case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,
            RD_KAFKA_RESP_ERR__ISR_INSUFF:
            true
        // The client itself is in between: another such call runs, or its partition is not being fetched yet.
        case RD_KAFKA_RESP_ERR__STATE, RD_KAFKA_RESP_ERR__IN_PROGRESS, RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS,
            RD_KAFKA_RESP_ERR__WAIT_CACHE, RD_KAFKA_RESP_ERR__RETRY, RD_KAFKA_RESP_ERR__OUTDATED:
            true
        // A group with members cannot be deleted, but members leave.
        case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP, RD_KAFKA_RESP_ERR_GROUP_SUBSCRIBED_TO_TOPIC: true
        // A checksum that failed on the way is not in the log.
        case RD_KAFKA_RESP_ERR_INVALID_MSG, RD_KAFKA_RESP_ERR__BAD_MSG: true
        // What we do not know is not worth an endless loop.
        case _: false
        }
    }
}
