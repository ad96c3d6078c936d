internal import CRdKafka

/// How a consumer reads. Offsets are never committed by themselves: what is done, the reader knows.
public struct ConsumerConfiguration: Sendable {
    public var client: ClientConfiguration
    public var group: GroupID
    /// Who decides which member reads which partition. Default range, which keeps equal partition numbers of several
    /// topics on one member.
    public var strategy: Strategy = .range
    /// Where reading starts without a committed offset, or when that is no longer in the log. Default earliest.
    public var start: Start = .earliest
    /// A member unheard of for this long is taken for dead. Default 10 s.
    public var sessionTimeout: Duration = .seconds(10)
    /// How long a partition that is to be given up waits for its `Revocation` to be answered. The group stands still
    /// meanwhile. Default 25 s.
    public var drainTimeout: Duration = .seconds(25)
    /// Whether `.end` is told whenever the end of a partition is reached. Default no.
    public var tellsEnds = false
    /// A fetch waits for this long for something to come. Default 500 ms.
    public var fetchWait: Duration = .milliseconds(500)
    /// librdkafka fetches ahead up to this many bytes for all partitions together. Default 64 MiB.
    public var maxPrefetchedBytes: Int = 64 << 20
    /// … and up to this many records. Default 100 000.
    public var maxPrefetchedRecords: Int = 100_000

    public init(_ client: ClientConfiguration, group: GroupID) {
        self.client = client
        self.group = group
    }

    public struct Strategy: Hashable, Sendable {
        let name: String
        public static let range = Strategy(name: "range")
        public static let roundRobin = Strategy(name: "roundrobin")
        /// Members keep what they have while others come and go.
        ///
        /// Warning: librdkafka before 2.10 is known to hang or loop with it, and before 2.2 to abort the process when a
        /// member is closed that has joined and was not assigned anything yet.
        public static let cooperativeSticky = Strategy(name: "cooperative-sticky")
    }

    public struct Start: Hashable, Sendable {
        let name: String
        public static let earliest = Start(name: "earliest")
        public static let latest = Start(name: "latest")
        /// Neither: a fault is told and the partition stands still.
        public static let fault = Start(name: "error")
    }

    /// The same for librdkafka, with the consumer's callbacks.
    func native() -> NativeConfiguration {
        var native = NativeConfiguration(client)
        if group.rawValue.isEmpty { native.refuse("group: is empty") }
        native.set("group.id", group.rawValue)
        native.set("partition.assignment.strategy", strategy.name)
        native.set("auto.offset.reset", start.name)
        native.set("session.timeout.ms", sessionTimeout)
        // Three heartbeats may be missed; more often than every three seconds is of no use to a long session.
        native.set("heartbeat.interval.ms", min(sessionTimeout / 3, .seconds(3)))
        native.set("enable.auto.commit", false)
        native.set("enable.auto.offset.store", false)
        native.set("enable.partition.eof", tellsEnds)
        native.set("fetch.wait.max.ms", fetchWait)
        native.set("queued.max.messages.kbytes", maxPrefetchedBytes / 1024)
        native.set("queued.min.messages", maxPrefetchedRecords)
        // How long a full queue is left alone; what is done where the library has no such option is in `Prefetch`.
        if KafkaLibrary.hasFetchBackoff { native.set("fetch.queue.backoff.ms", 10) }
        return native
    }
}
