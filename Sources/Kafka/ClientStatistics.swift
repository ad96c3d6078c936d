internal import JSON

/// What a client of librdkafka says of itself and of the brokers that it talks to, as far as somebody who runs it wants
/// to know.
///
/// The document comes from the library, and numbers in it from brokers: what is missing or no number is 0, sums stop at
/// their ends, and brokers beyond the first so many are counted together.
public struct ClientStatistics: Sendable, Hashable {
    /// Brokers that are told of by themselves.
    public static let mostBrokers = 32
    /// A larger document is not looked at: one partition takes about a kilobyte.
    static let mostBytes = 16 << 20

    public var brokers: [Broker] = []
    /// Records that a producer has taken and not delivered yet.
    public var queuedMessages: Int64 = 0
    public var queuedBytes: Int64 = 0
    /// Records that a consumer has fetched ahead.
    public var prefetchedMessages: Int64 = 0
    public var prefetchedBytes: Int64 = 0

    public struct Broker: Sendable, Hashable {
        /// Its number; `coordinator` for the connection of the group, `bootstrap` for those of the addresses that the
        /// client was given, `other` for all beyond the first so many.
        public let name: String
        public var isConnected = false
        /// How long requests took in the last interval, in microseconds; nil when there were none.
        public var meanRoundTrip: Int64?
        public var p99RoundTrip: Int64?
        /// Requests that wait to be sent, and those that wait for their answer.
        public var queued: Int64 = 0
        public var inFlight: Int64 = 0
        public var requests: Int64 = 0
        public var sendErrors: Int64 = 0
        public var receiveErrors: Int64 = 0
        public var timeouts: Int64 = 0
        public var retries: Int64 = 0
        public var connects: Int64 = 0
        public var disconnects: Int64 = 0
    }

    /// `known` are the numbers of brokers that were told of by themselves before: so many there can ever be.
    init?(_ text: String, known: inout Set<Int64>) {
        guard text.utf8.count <= Self.mostBytes, let document = try? JSONDocument(parsing: text, limit: Self.mostBytes),
            case let root = document.root, root.kind == .object
        else { return nil }
        queuedMessages = root.count("msg_cnt")
        queuedBytes = root.count("msg_size")
        var byName: [String: Broker] = [:]
        for broker in root.children("brokers") {
            let name = Self.name(broker, &known)
            byName[name, default: Broker(name: name)].add(broker)
        }
        brokers = byName.values.sorted { $0.name < $1.name }
        for topic in root.children("topics") {
            for partition in topic.children("partitions") {
                prefetchedMessages.grow(by: partition.count("fetchq_cnt"))
                prefetchedBytes.grow(by: partition.count("fetchq_size"))
            }
        }
    }

    private static func name(_ broker: JSONValue, _ known: inout Set<Int64>) -> String {
        if broker["source"]?.isString("logical") == true { return "coordinator" }
        guard let number = broker["nodeid"]?.int64, number >= 0 else { return "bootstrap" }
        if known.count < mostBrokers { known.insert(number) }
        return known.contains(number) ? "\(number)" : "other"
    }
}

extension ClientStatistics.Broker {
    /// One connection more of the same name.
    fileprivate mutating func add(_ broker: JSONValue) {
        isConnected = isConnected || broker["state"]?.isString("UP") == true
        if let times = broker["rtt"], times.count("cnt") > 0 {
            meanRoundTrip = max(meanRoundTrip ?? 0, times.count("avg"))
            p99RoundTrip = max(p99RoundTrip ?? 0, times.count("p99"))
        }
        queued.grow(by: broker.count("outbuf_cnt"))
        inFlight.grow(by: broker.count("waitresp_cnt"))
        requests.grow(by: broker.count("tx"))
        sendErrors.grow(by: broker.count("txerrs"))
        receiveErrors.grow(by: broker.count("rxerrs"))
        timeouts.grow(by: broker.count("req_timeouts"))
        retries.grow(by: broker.count("txretries"))
        connects.grow(by: broker.count("connects"))
        disconnects.grow(by: broker.count("disconnects"))
    }
}

extension JSONValue {
    /// The values of an object's object; none where there is none.
    fileprivate func children(_ name: String) -> [JSONValue] { self[name]?.members.map(\.value) ?? [] }

    /// A number that counts something; 0 for what is none.
    fileprivate func count(_ name: String) -> Int64 { max(0, self[name]?.int64 ?? 0) }
}

extension Int64 {
    /// Adds what is not below 0, as far as there is room.
    fileprivate mutating func grow(by more: Int64) {
        let (sum, overflows) = addingReportingOverflow(more)
        self = overflows ? .max : sum
    }
}
