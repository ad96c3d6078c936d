/// How a broker runs. Every field has the default of `flotilla broker`.
public struct BrokerConfiguration: Sendable {
    /// The folder that holds everything; made when it is missing, locked while the broker runs.
    public var dataFolder: String
    /// Where to listen. Port 0 lets the system choose.
    public var listen = Endpoint(host: "127.0.0.1", port: 9092)
    /// What clients are told to connect to; `listen` when nil.
    public var advertise: Endpoint?
    /// Whether an address may be listened on that other machines reach.
    public var insecure = false
    /// When an acknowledgement may be given.
    public var durability = Durability.batch
    public var limits = BrokerLimits()
    public var housekeeping = Housekeeping()

    public init(dataFolder: String) { self.dataFolder = dataFolder }
}

/// When produced records and committed offsets are forced to the disk.
public enum Durability: String, Sendable, CaseIterable {
    /// Before they are acknowledged or shown to a consumer, many at a time (group commit). A power cut loses nothing
    /// that was acknowledged.
    case batch
    /// Once a second. A killed broker loses nothing; a power cut may lose the last second.
    case interval
    /// When the system sees fit. A killed broker loses nothing; a power cut may lose what was not written yet.
    case never
}

/// Bounds on what clients may make the broker hold.
public struct BrokerLimits: Sendable {
    /// The largest request.
    public var frameBytes: UInt32 = 32 << 20
    /// Open connections; more are closed at once.
    public var connections = 1000
    /// Memory for requests that have not wholly arrived, over all connections.
    public var unfinishedRequestBytes = 512 << 20
    /// Requests that one connection may have under way before no more are read from it.
    public var pipelinedRequests = 64
    /// Answers that one connection may leave untaken before no more requests are read from it.
    public var queuedOutputBytes = 8 << 20
    /// What one connection may move before the others have their turn.
    public var bytesPerTurn = 4 << 20
    /// Partitions of all topics together: each keeps a file open.
    public var partitions = 4000
    /// How long a client may sit in the middle of a request, or not take its answers.
    public var stallMilliseconds: Int64 = 60_000
    /// How long a connection may be silent.
    public var idleMilliseconds: Int64 = 600_000

    public init() {}
}

/// How often what runs by the clock runs.
public struct Housekeeping: Sendable {
    /// Retention, and the check for stalled and idle connections.
    public var everyMilliseconds: Int64 = 10_000
    /// How long an empty group waits for more members before its first rebalance.
    public var firstRebalanceDelayMilliseconds: Int64 = 50

    public init() {}
}
