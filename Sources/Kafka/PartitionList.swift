internal import CRdKafka
internal import Glibc

/// A place in a partition, as it is committed: the offset to go on from, and a note beside it.
public struct PartitionOffset: Hashable, Sendable {
    public var place: TopicPartition
    public var offset: Offset
    /// A text of the committer's own, kept by the broker.
    public var metadata: String?

    public init(_ place: TopicPartition, _ offset: Offset, metadata: String? = nil) {
        self.place = place
        self.offset = offset
        self.metadata = metadata
    }
}

/// librdkafka's list of partitions, owned. Pointers to it are lent to one call at a time and never kept.
@safe struct PartitionList: ~Copyable {
    typealias Native = UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    private let list: Native

    /// A copy of one element.
    struct Element {
        let place: TopicPartition
        let offset: Int64
        let metadata: String?
        let error: rd_kafka_resp_err_t

        /// The offset, nil when librdkafka says that there is none.
        var knownOffset: Offset? { offset >= 0 ? Offset(offset) : nil }

        func check(_ operation: String) throws(KafkaFault) {
            try KafkaFault.check(error, at: KafkaFault.Site(operation, place))
        }
    }

    init(capacity: Int) { unsafe list = rd_kafka_topic_partition_list_new(Int32(clamping: capacity)) }

    init(_ places: [TopicPartition]) {
        self.init(capacity: places.count)
        for place in places { add(place) }
    }

    init(_ offsets: [PartitionOffset]) {
        self.init(capacity: offsets.count)
        for offset in offsets { add(offset.place, offset: offset.offset.rawValue, metadata: offset.metadata) }
    }

    /// A list of whole topics, as a subscription is.
    init(topics: [TopicName]) {
        self.init(capacity: topics.count)
        for topic in topics { add(TopicPartition(topic, -1)) }
    }

    deinit { unsafe rd_kafka_topic_partition_list_destroy(list) }

    mutating func add(_ place: TopicPartition, offset: Int64 = -1001, metadata: String? = nil) {
        let element = unsafe rd_kafka_topic_partition_list_add(list, place.topic.rawValue, place.partition.rawValue)
        guard let element = unsafe element else { return }
        unsafe element.pointee.offset = offset
        guard let metadata else { return }
        // The list frees it with free(3).
        let bytes = Array(metadata.utf8)
        let copy = unsafe malloc(max(1, bytes.count))
        unsafe bytes.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress { unsafe copy?.copyMemory(from: start, byteCount: bytes.count) }
        }
        unsafe element.pointee.metadata = copy
        unsafe element.pointee.metadata_size = copy == nil ? 0 : bytes.count
    }

    /// Lends the list to a call.
    @safe borrowing func lend<Result>(_ body: (Native) -> Result) -> Result { unsafe body(list) }

    borrowing func elements() -> [Element] { Self.read(unsafe list) }

    /// Copies a list that librdkafka owns.
    @safe static func read(_ list: UnsafePointer<rd_kafka_topic_partition_list_t>?) -> [Element] {
        guard let list = unsafe list?.pointee, let elements = unsafe list.elems else { return [] }
        return unsafe UnsafeBufferPointer(start: elements, count: Int(list.cnt)).map { element in
            let topic = TopicName(unsafe string(element.topic) ?? "")
            let metadata = unsafe element.metadata.map { start in
                unsafe String(
                    decoding: UnsafeRawBufferPointer(start: start, count: element.metadata_size), as: UTF8.self)
            }
            return unsafe Element(
                place: TopicPartition(topic, Partition(element.partition)), offset: element.offset,
                metadata: element.metadata_size == 0 ? nil : metadata, error: element.err)
        }
    }

    @safe static func read(_ list: Native?) -> [Element] { read(unsafe UnsafePointer(list)) }
}
