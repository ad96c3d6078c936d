internal import CRdKafka

/// How a producer publishes. The defaults lose nothing and write nothing twice: acknowledged by all replicas,
/// idempotent.
public struct ProducerConfiguration: Sendable {
    public var client: ClientConfiguration
    /// How long a record waits for company on its way, to the microsecond. Longer makes larger batches. Default 5 ms.
    public var linger: Duration = .milliseconds(5)
    /// After this long without an acknowledgement a record fails with `.timedOut`. Default 2 minutes.
    public var deliveryTimeout: Duration = .seconds(120)
    /// A topic that no broker knows fails with `.unknownTopic` after this long, in which a new topic becomes known
    /// everywhere. Default 10 s.
    public var topicPatience: Duration = .seconds(10)
    /// More records than this at once are refused with `.queueFull`. Default 100 000.
    public var maxQueuedRecords: Int = 100_000
    /// More bytes than this at once are refused with `.queueFull`. Default 128 MiB.
    public var maxQueuedBytes: Int = 128 << 20
    /// A larger record is refused with `.tooLarge`, before it is sent. Default 2 MiB.
    public var maxRecordBytes: Int = 2 << 20
    /// The largest batch that is sent for a partition. Default 1 MB.
    public var batchBytes: Int = 1_000_000
    /// How batches are compressed. Default what the client says.
    public var compression: Compression
    /// Which partition a record without one goes to. Default as the Java client: by murmur2 of the key, without a key
    /// at random.
    public var partitioner: Partitioner = .murmur2
    /// Whose acknowledgement counts. Anything but `.all` needs `isIdempotent` to be false.
    public var acknowledgements: Acknowledgements = .all
    /// Whether the broker recognises what the client sends again, so that retries neither repeat nor reorder.
    public var isIdempotent = true

    public init(_ client: ClientConfiguration) {
        self.client = client
        compression = client.compression
    }

    public struct Compression: Hashable, Sendable {
        static let all: [Compression] = [.none, .gzip, .snappy, .lz4, .zstd]
        let name: String
        public static let none = Compression(name: "none")
        public static let gzip = Compression(name: "gzip")
        public static let snappy = Compression(name: "snappy")
        public static let lz4 = Compression(name: "lz4")
        public static let zstd = Compression(name: "zstd")
    }

    public struct Partitioner: Hashable, Sendable {
        let name: String
        /// As the Java client does.
        public static let murmur2 = Partitioner(name: "murmur2_random")
        /// As librdkafka does unless told otherwise.
        public static let crc32 = Partitioner(name: "consistent_random")
        public static let random = Partitioner(name: "random")
    }

    public struct Acknowledgements: Hashable, Sendable {
        let name: String
        /// All replicas that are in sync.
        public static let all = Acknowledgements(name: "all")
        /// The leader alone; what it had not passed on is lost with it.
        public static let leader = Acknowledgements(name: "1")
        /// Nobody: sent is delivered.
        public static let none = Acknowledgements(name: "0")
    }

    /// The same for librdkafka.
    func native() -> NativeConfiguration {
        var native = NativeConfiguration(client)
        native.set("linger.ms", fine: linger)
        native.set("delivery.timeout.ms", deliveryTimeout)
        native.set("topic.metadata.propagation.max.ms", topicPatience)
        native.set("queue.buffering.max.messages", maxQueuedRecords)
        native.set("queue.buffering.max.kbytes", maxQueuedBytes / 1024)
        native.set("message.max.bytes", maxRecordBytes)
        native.set("batch.size", batchBytes)
        native.set("compression.codec", compression.name)
        native.set("partitioner", partitioner.name)
        native.set("acks", acknowledgements.name)
        native.set("enable.idempotence", isIdempotent)
        native.withHandle { handle in
            let events = RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_STATS
            unsafe rd_kafka_conf_set_events(handle, events)
        }
        return native
    }
}
