internal import CRdKafka

extension KafkaFault {
    /// The fault that a code of librdkafka stands for.
    init(_ native: rd_kafka_resp_err_t, _ reason: String? = nil, at site: Site, isFatal: Bool = false) {
        let code = Code(native)
        self.init(
            code, reason ?? code.nativeReason, at: site, isFatal: isFatal || native == RD_KAFKA_RESP_ERR__FATAL)
    }

    /// Reads an error object of librdkafka whole and frees it; nil when there was no error.
    @safe static func taking(_ error: OpaquePointer?, at site: Site) -> KafkaFault? {
        guard let error = unsafe error else { return nil }
        defer { unsafe rd_kafka_error_destroy(error) }
        return KafkaFault(borrowing: error, at: site)
    }

    /// Reads an error object that someone else frees.
    @safe init(borrowing error: OpaquePointer, at site: Site) {
        unsafe self.init(
            rd_kafka_error_code(error), string(rd_kafka_error_string(error)), at: site,
            isFatal: rd_kafka_error_is_fatal(error) != 0)
    }

    /// Throws when a call returned an error.
    static func check(_ native: rd_kafka_resp_err_t, at site: Site) throws(KafkaFault) {
        if native != RD_KAFKA_RESP_ERR_NO_ERROR { throw KafkaFault(native, at: site) }
    }

    static func closed(_ operation: String) -> KafkaFault {
        KafkaFault(.closed, "the client is closed", at: Site(operation))
    }

    static func cancelled(_ operation: String) -> KafkaFault {
        KafkaFault(.cancelled, "the waiting task was cancelled", at: Site(operation))
    }
}

extension KafkaFault.Code {
    init(_ native: rd_kafka_resp_err_t) { self.init(rawValue: native.rawValue) }

    var native: rd_kafka_resp_err_t { rd_kafka_resp_err_t(rawValue: rawValue) }
    var nativeName: String { unsafe string(rd_kafka_err2name(native)) ?? "\(rawValue)" }
    var nativeReason: String { unsafe string(rd_kafka_err2str(native)) ?? "error \(rawValue)" }

    var nativeKind: KafkaFault.Kind {
        switch native {
        case RD_KAFKA_RESP_ERR__QUEUE_FULL: .queueFull
        // The client was closed while it asked.
        case RD_KAFKA_RESP_ERR__DESTROY: .closed
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
            RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
            .tooLarge
        case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART: .unknownTopic
        case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: .unknownPartition
        case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
            .timedOut
        case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE,
            RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
            .unreachable
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR__SSL, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
            .denied
        case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
            RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
            .fenced
        case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
            RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
            .rebalancing
        case RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND, RD_KAFKA_RESP_ERR__UNKNOWN_GROUP: .unknownGroup
        case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: .exists
        case RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_INFLIGHT: .purged
        case RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR_INVALID_CONFIG, RD_KAFKA_RESP_ERR_INVALID_REQUEST,
            RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, RD_KAFKA_RESP_ERR_INVALID_PARTITIONS,
            RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, RD_KAFKA_RESP_ERR_INVALID_GROUP_ID,
            RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, RD_KAFKA_RESP_ERR_INVALID_RECORD,
            RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
            .invalid
        case _: .other
        }
    }
}

extension TopicName {
    /// Of a name that cannot be, C may see another: `orders`, where it ends with a zero byte.
    func check(at site: KafkaFault.Site) throws(KafkaFault) {
        guard isValid else {
            throw KafkaFault(RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, "no topic can have this name", at: site)
        }
    }
}

/// Refuses texts of which C would see less than we do: what is deleted or changed must be what was named.
func checkText(_ texts: String..., at site: KafkaFault.Site) throws(KafkaFault) {
    for text in texts where text.utf8.contains(0) {
        throw KafkaFault(RD_KAFKA_RESP_ERR__INVALID_ARG, "a name or value contains a zero byte", at: site)
    }
}

/// A C string that librdkafka keeps, as ours.
@safe func string(_ characters: UnsafePointer<CChar>?) -> String? {
    guard let characters = unsafe characters else { return nil }
    return unsafe String(cString: characters)
}
