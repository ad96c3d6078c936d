/// The APIs that the broker decodes, by their number in the protocol, with the versions that it speaks of each.
///
/// How the lowest versions were chosen: as Kafka 4 has them (KIP-896), except where a client that is still about needs
/// less. The highest are the last before topics are named by id (Produce 13, Fetch 13, Metadata 13), before a request
/// carries many groups (OffsetFetch 8, FindCoordinator 4), or simply the last that a single broker gives meaning to.
///
/// - Produce 0 to 2 carry message formats that we do not store, and are answered with an error per partition. They are
///   advertised all the same: librdkafka compresses with gzip or snappy only if the broker's range holds version 0.
/// - OffsetCommit 2, OffsetFetch 1, FindCoordinator 0 and the zero versions of the group APIs are what librdkafka needs to
///   see before it turns consumer groups on.
///
/// Some APIs are known so that they can be refused in words that the client understands:
///
/// - ACLs are advertised. Clients then send the request and get SECURITY_DISABLED, which is the truth; unadvertised, they
///   would report a broker too old.
/// - Transactions are not advertised. A producer asks FindCoordinator for the transaction's coordinator first, and of all
///   errors librdkafka gives up on TRANSACTIONAL_ID_AUTHORIZATION_FAILED and CLUSTER_AUTHORIZATION_FAILED alone; anything
///   else, an unsupported version too, it asks again until the application's timeout. The Java client and kafka-python
///   treat the former as fatal as well. So FindCoordinator (for a transaction) and InitProducerId (with a transactional id)
///   answer TRANSACTIONAL_ID_AUTHORIZATION_FAILED, and no sane client comes to the transaction APIs themselves; if one
///   does, they say the same.
/// - SaslHandshake is not advertised, since clients take that for "SASL is spoken here".
enum ApiKey: Int16, CaseIterable, Sendable {
    case produce = 0
    case fetch = 1
    case listOffsets = 2
    case metadata = 3
    case offsetCommit = 8
    case offsetFetch = 9
    case findCoordinator = 10
    case joinGroup = 11
    case heartbeat = 12
    case leaveGroup = 13
    case syncGroup = 14
    case describeGroups = 15
    case listGroups = 16
    case saslHandshake = 17
    case apiVersions = 18
    case createTopics = 19
    case deleteTopics = 20
    case deleteRecords = 21
    case initProducerId = 22
    case addPartitionsToTxn = 24
    case addOffsetsToTxn = 25
    case endTxn = 26
    case txnOffsetCommit = 28
    case describeAcls = 29
    case createAcls = 30
    case deleteAcls = 31
    case describeConfigs = 32
    case alterConfigs = 33
    case createPartitions = 37
    case deleteGroups = 42
    case incrementalAlterConfigs = 44
    case offsetDelete = 47
    case describeCluster = 60

    /// The versions that are decoded; for advertised APIs those that are advertised.
    var versions: ClosedRange<Int16> { layout.versions }

    /// Whether a version has compact lengths and tagged fields.
    func isFlexible(_ version: Int16) -> Bool { version >= layout.firstFlexible }

    /// Whether clients are told of it.
    var isAdvertised: Bool {
        switch self {
        case .saslHandshake, .addPartitionsToTxn, .addOffsetsToTxn, .endTxn, .txnOffsetCommit:
            false
        case .produce, .fetch, .listOffsets, .metadata, .offsetCommit, .offsetFetch, .findCoordinator, .joinGroup,
            .heartbeat, .leaveGroup, .syncGroup, .describeGroups, .listGroups, .apiVersions, .createTopics,
            .deleteTopics, .deleteRecords, .initProducerId, .describeAcls, .createAcls, .deleteAcls,
            .describeConfigs, .alterConfigs, .createPartitions, .deleteGroups, .incrementalAlterConfigs,
            .offsetDelete, .describeCluster:
            true
        }
    }

    private static let never = Int16.max

    private var layout: (versions: ClosedRange<Int16>, firstFlexible: Int16) {
        switch self {
        case .produce: (0...9, 9)
        case .fetch: (4...12, 12)
        case .listOffsets: (1...7, 6)
        case .metadata: (0...12, 9)
        case .offsetCommit: (2...8, 8)
        case .offsetFetch: (1...7, 6)
        case .findCoordinator: (0...3, 3)
        case .joinGroup: (0...7, 6)
        case .heartbeat: (0...4, 4)
        case .leaveGroup: (0...5, 4)
        case .syncGroup: (0...5, 4)
        case .describeGroups: (0...5, 5)
        case .listGroups: (0...4, 3)
        case .saslHandshake: (0...1, Self.never)
        case .apiVersions: (0...3, 3)
        case .createTopics: (0...7, 5)
        case .deleteTopics: (0...5, 4)
        case .deleteRecords: (0...2, 2)
        case .initProducerId: (0...4, 2)
        case .addPartitionsToTxn: (0...3, 3)
        case .addOffsetsToTxn: (0...3, 3)
        case .endTxn: (0...3, 3)
        case .txnOffsetCommit: (0...3, 3)
        case .describeAcls: (0...2, 2)
        case .createAcls: (0...2, 2)
        case .deleteAcls: (0...2, 2)
        case .describeConfigs: (0...4, 4)
        case .alterConfigs: (0...2, 2)
        case .createPartitions: (0...3, 2)
        case .deleteGroups: (0...2, 2)
        case .incrementalAlterConfigs: (0...1, 1)
        case .offsetDelete: (0...0, Self.never)
        case .describeCluster: (0...1, 0)
        }
    }
}
