@testable import LocalBroker

// The values in golden.py once more.

extension GoldenVector {
    private var orders: String { "orders" }
    private var outcomes: [PerTopic<PartitionOutcome>] {
        [.init(name: orders, partitions: [.init(index: 0), .init(index: 7, error: .unknownTopicOrPartition)])]
    }

    func expectedResponse(to header: RequestHeader) -> (any WireEncodable)? {
        switch api {
        case .produce: produceResponse
        case .fetch: fetchResponse
        case .listOffsets:
            ListOffsetsResponse(
                throttle: 5,
                topics: [
                    .init(
                        name: orders,
                        partitions: [
                            .init(index: 0, timestamp: 1_700_000_000_000, offset: 42, leaderEpoch: 4),
                            .init(index: 7, error: .unknownTopicOrPartition),
                        ])
                ])
        case .metadata: metadataResponse
        case .offsetCommit: OffsetCommitResponse(throttle: 5, topics: outcomes)
        case .offsetFetch:
            OffsetFetchResponse(
                throttle: 5,
                topics: [
                    .init(
                        name: orders,
                        partitions: [
                            .init(index: 0, offset: 42, leaderEpoch: 4, metadata: "note"), .init(index: 7),
                        ])
                ])
        case .apiVersions: ApiVersionsResponse(answering: header)
        case .saslHandshake: SaslHandshakeResponse()
        case .deleteRecords:
            DeleteRecordsResponse(
                throttle: 5,
                topics: [
                    .init(
                        name: orders,
                        partitions: [.init(index: 0, lowWatermark: 42), .init(index: 7, error: .offsetOutOfRange)])
                ])
        case .initProducerId: InitProducerIdResponse(throttle: 5, producerID: 9001, producerEpoch: 0)
        case .offsetDelete: OffsetDeleteResponse(throttle: 5, topics: outcomes)
        case .describeCluster:
            DescribeClusterResponse(throttle: 5, clusterID: "c-1", controller: 1, brokers: [.init(address: .local)])
        case .findCoordinator, .joinGroup, .heartbeat, .leaveGroup, .syncGroup, .describeGroups, .listGroups,
            .deleteGroups:
            groupResponse
        case .createTopics, .deleteTopics, .createPartitions, .describeConfigs, .alterConfigs, .incrementalAlterConfigs:
            adminResponse
        case .addPartitionsToTxn, .addOffsetsToTxn, .endTxn, .txnOffsetCommit, .describeAcls, .createAcls, .deleteAcls:
            refusal
        }
    }

    private var produceResponse: ProduceResponse {
        ProduceResponse(
            topics: [
                .init(
                    name: orders,
                    partitions: [
                        .init(index: 0, baseOffset: 1_234_567_890_123, logStartOffset: 11),
                        .init(
                            index: 7, error: .invalidRecord,
                            recordErrors: [.init(batchIndex: 2, message: "no key"), .init(batchIndex: 3)],
                            message: "refused"),
                    ])
            ],
            throttle: 5)
    }

    private var fetchResponse: FetchResponse {
        FetchResponse(
            throttle: 5,
            topics: [
                .init(
                    name: orders,
                    partitions: [
                        .init(
                            index: 0, highWatermark: 100, lastStableOffset: 100, logStartOffset: 11,
                            records: .spliced(payload: 0, count: 200)),
                        .init(index: 7, error: .offsetOutOfRange),
                        .init(
                            index: 8, highWatermark: 7, lastStableOffset: 7, logStartOffset: 0,
                            records: .spliced(payload: 1, count: 3)),
                    ])
            ])
    }

    private var metadataResponse: MetadataResponse {
        MetadataResponse(
            throttle: 5, brokers: [.init(address: .local)], clusterID: "c-1", controller: 1,
            topics: [
                .init(name: orders, id: .example, partitions: [.init(index: 7, leader: 1, leaderEpoch: 4)]),
                .init(error: .unknownTopicOrPartition, name: "nope"),
            ])
    }

    private var groupResponse: (any WireEncodable)? {
        switch api {
        case .findCoordinator: FindCoordinatorResponse(throttle: 5, coordinator: .local)
        case .joinGroup:
            JoinGroupResponse(
                throttle: 5, generation: 5, protocolType: "consumer", protocolName: "range", leader: "m-1",
                memberID: "m-1",
                members: [.init(id: "m-1", instanceID: "i-1", metadata: [0, 1]), .init(id: "m-2", metadata: [])])
        case .heartbeat: HeartbeatResponse(throttle: 5, error: .rebalanceInProgress)
        case .leaveGroup:
            LeaveGroupResponse(
                throttle: 5,
                members: [.init(id: "m-1", instanceID: "i-1"), .init(id: "m-2", error: .unknownMemberId)])
        case .syncGroup:
            SyncGroupResponse(throttle: 5, protocolType: "consumer", protocolName: "range", assignment: [0, 7])
        case .describeGroups:
            DescribeGroupsResponse(
                throttle: 5,
                groups: [
                    .init(
                        id: "billing", state: "Stable", protocolType: "consumer", protocolName: "range",
                        members: [
                            .init(
                                id: "m-1", instanceID: "i-1", clientID: "tester", clientHost: "/127.0.0.1",
                                metadata: [0, 1], assignment: [0, 7])
                        ])
                ])
        case .listGroups:
            ListGroupsResponse(
                throttle: 5, groups: [.init(id: "billing", protocolType: "consumer", state: "Stable")])
        case .deleteGroups:
            DeleteGroupsResponse(throttle: 5, groups: [.init(id: "billing"), .init(id: "mail", error: .nonEmptyGroup)])
        default: nil
        }
    }

    private var adminResponse: (any WireEncodable)? {
        switch api {
        case .createTopics:
            CreateTopicsResponse(
                throttle: 5,
                topics: [
                    .init(
                        name: orders, id: .example, partitions: 6, replicationFactor: 1,
                        configs: [.init(name: "retention.ms", value: "1000", source: .topicConfig)]),
                    .init(name: "placed", error: .topicAlreadyExists, message: "it exists"),
                ])
        case .deleteTopics:
            DeleteTopicsResponse(
                throttle: 5,
                topics: [
                    .init(name: orders), .init(name: "placed", error: .unknownTopicOrPartition, message: "unknown"),
                ])
        case .createPartitions:
            CreatePartitionsResponse(
                throttle: 5,
                topics: [.init(name: orders), .init(name: "placed", error: .invalidPartitions, message: "fewer")])
        case .describeConfigs: describeConfigsResponse
        case .alterConfigs, .incrementalAlterConfigs:
            AlterConfigsResponse(
                throttle: 5,
                resources: [
                    .init(resource: .orders), .init(error: .invalidConfig, message: "bad value", resource: .broker),
                ])
        default: nil
        }
    }

    private var describeConfigsResponse: DescribeConfigsResponse {
        DescribeConfigsResponse(
            throttle: 5,
            resources: [
                .init(
                    resource: .orders,
                    configs: [
                        .init(
                            name: "retention.ms", value: "1000", source: .topicConfig,
                            synonyms: [.init(name: "retention.ms", value: "1000", source: .topicConfig)], type: 5,
                            documentation: "how long"),
                        .init(name: "cleanup.policy", value: nil, isReadOnly: true, isSensitive: true),
                    ]),
                .init(
                    error: .invalidRequest, message: "no such broker",
                    resource: ConfigResource(type: ConfigResource.brokerType, name: "9")),
            ])
    }

    /// Answers made from requests, as the broker makes them.
    private var refusal: (any WireEncodable)? {
        let request = GoldenVector.requests.first { $0.api == api && $0.version == version }?.expectedRequest
        let error = ErrorCode.transactionalIdAuthorizationFailed
        return switch request {
        case .addPartitionsToTxn(let request): request.refused(error)
        case .txnOffsetCommit(let request): request.refused(error)
        case .addOffsetsToTxn, .endTxn: TransactionResponse(error: error)
        case .describeAcls: DescribeAclsResponse(error: .securityDisabled, message: "no security")
        case .createAcls(let request): request.refused(.securityDisabled, "no security")
        case .deleteAcls(let request): request.refused(.securityDisabled, "no security")
        default: nil
        }
    }
}

extension BrokerAddress {
    static let local = BrokerAddress(nodeID: 1, host: "127.0.0.1", port: 9092)
}
