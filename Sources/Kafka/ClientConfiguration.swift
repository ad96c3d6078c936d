/// What every client needs: where the brokers are, how it is called, and who hears what it says by itself.
public struct ClientConfiguration: Sendable {
    /// `HOST:PORT` of some brokers; the rest are learnt from them.
    public var brokers: [String]
    /// The name under which brokers know the client.
    public var clientID: String = "flotilla"
    /// Further options of librdkafka by their own names. Refused are those that carry this client's promises
    /// (acknowledgements, idempotence, groups, commits) and those that a client has a field for.
    public var extra: [String: String] = [:]
    /// How its producers compress, unless they say otherwise. Default none.
    public var compression: ProducerConfiguration.Compression = .none
    /// How often a producer or a consumer tells its figures to whom `tell` names. Zero is never.
    public var statisticsInterval: Duration = .seconds(10)
    public var hooks = ClientHooks()

    public init(brokers: [String]) { self.brokers = brokers }
}

/// Who hears what a client says by itself. Each is called on the client's own thread, so it must be quick; only what is
/// asked of a closed client is told on the asking thread.
public struct ClientHooks: Sendable {
    /// librdkafka's log lines, which otherwise are lost; nothing is written to standard error.
    public var log: @Sendable (LogLine) -> Void = { _ in }
    /// The client's statistics, one JSON document every `statisticsInterval`.
    public var statistics: @Sendable (String) -> Void = { _ in }
    /// Zero is never.
    public var statisticsInterval: Duration = .zero
    /// Faults that belong to no operation: a broker is gone, a name does not resolve. They heal by themselves unless
    /// they are fatal.
    public var fault: @Sendable (KafkaFault) -> Void = { _ in }

    public init() {}

    /// One line of librdkafka's log.
    public struct LogLine: Sendable {
        /// As syslog counts: 3 error, 4 warning, 5 notice, 6 information, 7 debug.
        public let severity: Int
        /// What part of librdkafka says it.
        public let facility: String
        public let text: String
    }
}
