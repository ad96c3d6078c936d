@testable import LocalBroker

extension GoldenVector {
    private var isFull: Bool { variant == "full" }

    var expectedAdminRequest: Request? {
        switch api {
        case .createTopics: .createTopics(createTopics)
        case .deleteTopics:
            .deleteTopics(
                isFull ? .init(topics: ["orders", "placed"], timeout: 30000) : .init(topics: [], timeout: 0))
        case .createPartitions: .createPartitions(createPartitions)
        case .describeConfigs:
            .describeConfigs(
                .init(
                    resources: isFull
                        ? [
                            .init(resource: .orders, names: ["retention.ms"]),
                            .init(resource: .broker, names: nil),
                        ] : [],
                    wantsSynonyms: isFull && version >= 1,
                    wantsDocumentation: isFull && version >= 3))
        case .alterConfigs:
            .alterConfigs(
                .init(
                    resources: isFull
                        ? [
                            .init(
                                resource: .orders,
                                configs: [
                                    .init(name: "retention.ms", value: "1000"), .init(name: "segment.ms", value: nil),
                                ])
                        ] : [],
                    validateOnly: isFull))
        case .incrementalAlterConfigs:
            .incrementalAlterConfigs(
                .init(
                    resources: isFull
                        ? [
                            .init(
                                resource: .orders,
                                configs: [
                                    .init(name: "retention.ms", operation: .set, value: "1000"),
                                    .init(name: "segment.ms", operation: .delete, value: nil),
                                ])
                        ] : [],
                    validateOnly: isFull))
        default: nil
        }
    }

    private var createTopics: CreateTopicsRequest {
        guard isFull else { return CreateTopicsRequest(topics: [], timeout: 0, validateOnly: false) }
        return CreateTopicsRequest(
            topics: [
                .init(
                    name: "orders", partitions: 6, replicationFactor: 1, assignments: [],
                    configs: [.init(name: "retention.ms", value: "1000"), .init(name: "segment.ms", value: nil)]),
                .init(
                    name: "placed", partitions: -1, replicationFactor: -1,
                    assignments: [.init(partition: 0, brokers: [1])], configs: []),
            ],
            timeout: 30000, validateOnly: version >= 1)
    }

    private var createPartitions: CreatePartitionsRequest {
        guard isFull else { return CreatePartitionsRequest(topics: [], timeout: 0, validateOnly: false) }
        return CreatePartitionsRequest(
            topics: [
                .init(name: "orders", count: 9, assignments: [.init(brokers: [1])]),
                .init(name: "placed", count: 2, assignments: nil),
            ],
            timeout: 30000, validateOnly: true)
    }

    var expectedRefusedRequest: Request? {
        let filter = AclFilter(
            resourceType: 2, resourceName: "orders", patternType: 3, principal: nil, host: "*", operation: 3,
            permission: 3)
        return switch api {
        case .addPartitionsToTxn:
            .addPartitionsToTxn(
                .init(
                    transactionalID: "tx", producerID: 9001, producerEpoch: 3,
                    topics: [.init(name: "orders", partitions: [0, 7])]))
        case .addOffsetsToTxn:
            .addOffsetsToTxn(.init(transactionalID: "tx", producerID: 9001, producerEpoch: 3, group: "billing"))
        case .endTxn: .endTxn(.init(transactionalID: "tx", producerID: 9001, producerEpoch: 3, commits: true))
        case .txnOffsetCommit:
            .txnOffsetCommit(
                .init(
                    transactionalID: "tx", group: "billing", producerID: 9001, producerEpoch: 3,
                    generation: since(3, 5, -1), memberID: since(3, "m-1", ""), instanceID: since(3, "i-1", nil),
                    topics: [
                        .init(
                            name: "orders",
                            partitions: [.init(index: 7, offset: 42, leaderEpoch: since(2, 4, -1), metadata: nil)])
                    ]))
        case .describeAcls: .describeAcls(.init(filter: filter))
        case .createAcls:
            .createAcls(
                .init(acls: [
                    .init(
                        resourceType: 2, resourceName: "orders", patternType: 3, principal: "User:a", host: "*",
                        operation: 3, permission: 3)
                ]))
        case .deleteAcls: .deleteAcls(.init(filters: [filter]))
        default: nil
        }
    }
}

extension ConfigResource {
    static let orders = ConfigResource(type: topicType, name: "orders")
    static let broker = ConfigResource(type: brokerType, name: "1")
}
