@testable import LocalBroker

// The values in golden.py once more, as each version shows them.

extension GoldenVector {
    private var isFull: Bool { variant == "full" }

    /// A value that a version has, or what stands for it in older ones.
    func since<Value>(_ first: Int16, _ value: Value, _ before: Value) -> Value { version >= first ? value : before }

    var expectedRequest: Request? {
        switch api {
        case .produce: .produce(produce)
        case .fetch: .fetch(fetch)
        case .listOffsets: .listOffsets(listOffsets)
        case .metadata: .metadata(metadata)
        case .apiVersions:
            .apiVersions(.init(clientSoftwareName: since(3, "tester", ""), clientSoftwareVersion: since(3, "1.0", "")))
        case .saslHandshake: .saslHandshake(.init(mechanism: "PLAIN"))
        case .describeCluster: .describeCluster(.init(wantsClusterOperations: true, endpointType: since(1, 2, 1)))
        case .initProducerId: .initProducerId(initProducerID)
        case .deleteRecords:
            .deleteRecords(
                isFull
                    ? .init(topics: [.init(name: "orders", partitions: [.init(index: 7, offset: -1)])], timeout: 30000)
                    : .init(topics: [], timeout: 0))
        case .offsetCommit, .offsetFetch, .findCoordinator, .joinGroup, .heartbeat, .leaveGroup, .syncGroup,
            .describeGroups, .listGroups, .deleteGroups, .offsetDelete:
            expectedGroupRequest
        case .createTopics, .deleteTopics, .createPartitions, .describeConfigs, .alterConfigs, .incrementalAlterConfigs:
            expectedAdminRequest
        case .addPartitionsToTxn, .addOffsetsToTxn, .endTxn, .txnOffsetCommit, .describeAcls, .createAcls, .deleteAcls:
            expectedRefusedRequest
        }
    }

    private var produce: ProduceRequest {
        guard isFull else {
            // No bytes stand before what closes the last partition, its topic and the request.
            let end = bytes.count - since(9, 3, 0)
            return ProduceRequest(
                transactionalID: nil, acks: 0, timeout: 0,
                topics: [
                    .init(name: "", partitions: [.init(index: 0, records: nil), .init(index: 1, records: end..<end)])
                ],
                legacyFormat: version < 3)
        }
        return ProduceRequest(
            transactionalID: since(3, "tx", nil), acks: -1, timeout: 30000,
            topics: [
                .init(
                    name: "orders",
                    partitions: [
                        .init(index: 0, records: range(of: "RECORDS-0")), .init(index: 7, records: range(of: "R7")),
                    ])
            ],
            legacyFormat: version < 3)
    }

    private var fetch: FetchRequest {
        guard isFull else {
            return FetchRequest(
                maxWait: 0, minBytes: 0, maxBytes: 0, isolationLevel: 0, sessionID: 0, sessionEpoch: -1, topics: [],
                forgottenTopics: [], rack: "")
        }
        let partition = FetchRequest.Partition(
            index: 7, currentLeaderEpoch: since(9, 4, -1), offset: 1_234_567_890_123,
            lastFetchedEpoch: since(12, 3, -1), maxBytes: 1_048_576)
        return FetchRequest(
            maxWait: 500, minBytes: 1, maxBytes: 52_428_800, isolationLevel: 1, sessionID: since(7, 77, 0),
            sessionEpoch: since(7, 2, -1), topics: [.init(name: "orders", partitions: [partition])],
            forgottenTopics: since(7, [.init(name: "old", partitions: [1, 2])], []), rack: since(11, "r1", ""))
    }

    private var listOffsets: ListOffsetsRequest {
        guard isFull else { return ListOffsetsRequest(isolationLevel: 0, topics: []) }
        return ListOffsetsRequest(
            isolationLevel: since(2, 1, 0),
            topics: [
                .init(
                    name: "orders",
                    partitions: [
                        .init(index: 0, currentLeaderEpoch: since(4, 4, -1), timestamp: ListOffsetsRequest.earliest),
                        .init(index: 7, currentLeaderEpoch: -1, timestamp: 1_700_000_000_000),
                    ])
            ])
    }

    private var metadata: MetadataRequest {
        let topic = MetadataRequest.Topic(id: since(10, .example, .zero), name: "orders")
        let topics: [MetadataRequest.Topic]? =
            switch variant {
            case "full": [topic]
            case "empty" where version > 0: []
            default: nil
            }
        return MetadataRequest(
            topics: topics, allowsAutoCreation: since(4, !isFull, true),
            wantsClusterOperations: version <= 10 && since(8, isFull, false),
            wantsTopicOperations: since(8, isFull, false))
    }

    private var initProducerID: InitProducerIdRequest {
        guard isFull else {
            return .init(transactionalID: nil, transactionTimeout: 0, producerID: -1, producerEpoch: -1)
        }
        return .init(
            transactionalID: "tx", transactionTimeout: 60000, producerID: since(3, 9001, -1),
            producerEpoch: since(3, 3, -1))
    }
}

extension UUID128 {
    static let example = UUID128(high: 0x0011_2233_4455_6677, low: 0x8899_AABB_CCDD_EEFF)
}
