internal import CRdKafka

/// What a group is doing.
public enum GroupState: String, Hashable, Sendable {
    case unknown, preparingRebalance, completingRebalance, stable, dead, empty
}

/// A group as it is.
public struct GroupDescription: Hashable, Sendable {
    public let group: GroupID
    public let state: GroupState
    /// Who distributes the partitions: `range`, `cooperative-sticky`.
    public let strategy: String
    public let members: [Member]

    public struct Member: Hashable, Sendable {
        public let id: String
        public let clientID: String
        public let host: String
        public let partitions: [TopicPartition]
    }
}

extension Admin {
    /// The groups of the cluster and what they are doing.
    public func groups() async throws(KafkaFault) -> [GroupID: GroupState] {
        let site = KafkaFault.Site("list groups")
        return try await core.call(
            site.operation,
            start: { client, options, queue in unsafe rd_kafka_ListConsumerGroups(client, options, queue) },
            read: { event throws(KafkaFault) in
                let result = unsafe rd_kafka_event_ListConsumerGroups_result(event)
                let groups = readNatives({ unsafe rd_kafka_ListConsumerGroups_result_valid(result, $0) }) {
                    unsafe (
                        GroupID(string(rd_kafka_ConsumerGroupListing_group_id($0)) ?? ""),
                        GroupState(rd_kafka_ConsumerGroupListing_state($0))
                    )
                }
                let faults = readNatives({ unsafe rd_kafka_ListConsumerGroups_result_errors(result, $0) }) {
                    KafkaFault(borrowing: $0, at: site)
                }
                // A list with holes would be taken for the whole.
                if let fault = faults.first { throw fault }
                return Dictionary(groups) { first, _ in first }
            })
    }

    /// What a group is doing and who reads what. A group that nobody knows is `.dead` and has no members.
    public func describe(_ group: GroupID) async throws(KafkaFault) -> GroupDescription {
        let site = KafkaFault.Site("describe group \(group)")
        try checkText(group.rawValue, at: site)
        return try await core.call(
            site.operation,
            start: { client, options, queue in
                unsafe group.rawValue.withCString { name in
                    var names: [UnsafePointer<CChar>?] = unsafe [name]
                    unsafe rd_kafka_DescribeConsumerGroups(client, &names, 1, options, queue)
                }
            },
            read: { event throws(KafkaFault) in
                let result = unsafe rd_kafka_event_DescribeConsumerGroups_result(event)
                let described = readNatives({ unsafe rd_kafka_DescribeConsumerGroups_result_groups(result, $0) }) {
                    Self.description(of: $0, at: site)
                }
                guard let first = described.first else { throw KafkaFault(RD_KAFKA_RESP_ERR__FAIL, at: site) }
                return try first.get()
            })
    }

    @safe private static func description(
        of native: OpaquePointer, at site: KafkaFault.Site
    ) -> Result<GroupDescription, KafkaFault> {
        if let error = unsafe rd_kafka_ConsumerGroupDescription_error(native),
            unsafe rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return .failure(KafkaFault(borrowing: error, at: site))
        }
        let count = unsafe rd_kafka_ConsumerGroupDescription_member_count(native)
        let members = (0..<count).compactMap { index in
            unsafe rd_kafka_ConsumerGroupDescription_member(native, index).map { member($0) }
        }
        return unsafe .success(
            GroupDescription(
                group: GroupID(string(rd_kafka_ConsumerGroupDescription_group_id(native)) ?? ""),
                state: GroupState(rd_kafka_ConsumerGroupDescription_state(native)),
                strategy: string(rd_kafka_ConsumerGroupDescription_partition_assignor(native)) ?? "",
                members: members))
    }

    @safe private static func member(_ native: OpaquePointer) -> GroupDescription.Member {
        let assignment = unsafe rd_kafka_MemberDescription_assignment(native)
        let partitions = unsafe assignment.map { unsafe rd_kafka_MemberAssignment_partitions($0) } ?? nil
        return unsafe GroupDescription.Member(
            id: string(rd_kafka_MemberDescription_consumer_id(native)) ?? "",
            clientID: string(rd_kafka_MemberDescription_client_id(native)) ?? "",
            host: string(rd_kafka_MemberDescription_host(native)) ?? "",
            partitions: PartitionList.read(partitions).map(\.place))
    }

    /// Deletes groups that nobody is a member of and returns the faults of those that were not deleted.
    public func delete(groups: [GroupID]) async throws(KafkaFault) -> [GroupID: KafkaFault] {
        let operation = "delete groups"
        for group in groups { try checkText(group.rawValue, at: KafkaFault.Site(operation)) }
        return try await core.call(
            operation,
            start: { client, options, queue throws(KafkaFault) in
                try withNatives(
                    groups, { unsafe rd_kafka_DeleteGroup_new($0.rawValue) },
                    free: { unsafe rd_kafka_DeleteGroup_destroy($0) }
                ) { unsafe rd_kafka_DeleteGroups(client, $0, $1, options, queue) }
            },
            read: { event in
                let result = unsafe rd_kafka_event_DeleteGroups_result(event)
                let results = readNatives({ unsafe rd_kafka_DeleteGroups_result_groups(result, $0) }) {
                    GroupResult($0, operation)
                }
                return Dictionary(results.compactMap { result in result.fault.map { (result.group, $0) } }) {
                    first, _ in
                    first
                }
            })
    }
}

extension GroupState {
    init(_ native: rd_kafka_consumer_group_state_t) {
        self =
            switch native {
            case RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE: .preparingRebalance
            case RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE: .completingRebalance
            case RD_KAFKA_CONSUMER_GROUP_STATE_STABLE: .stable
            case RD_KAFKA_CONSUMER_GROUP_STATE_DEAD: .dead
            case RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY: .empty
            case _: .unknown
            }
    }
}

/// What an admin call says about one group.
struct GroupResult {
    let group: GroupID
    let fault: KafkaFault?
    let partitions: [PartitionList.Element]

    @safe init(_ native: OpaquePointer, _ operation: String) {
        group = GroupID(unsafe string(rd_kafka_group_result_name(native)) ?? "")
        let error = unsafe rd_kafka_group_result_error(native)
        fault = unsafe error.map { KafkaFault(borrowing: $0, at: KafkaFault.Site(operation)) }
        partitions = PartitionList.read(unsafe rd_kafka_group_result_partitions(native))
    }
}
