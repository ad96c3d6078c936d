internal import CRdKafka
internal import Glibc

// From librdkafka's queues to batches.
extension ConsumerCore {
    typealias Message = UnsafeMutablePointer<rd_kafka_message_t>

    /// Drains the control queue. Rebalances and commit results are called back meanwhile.
    func serveControl() {
        while let message = unsafe rd_kafka_consumer_poll(client.handle, 0) {
            // The end of a partition must not overtake the records before it.
            let isEvent =
                unsafe message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR
                && message.pointee.err != RD_KAFKA_RESP_ERR__PARTITION_EOF
            if isEvent {
                events.append(event(message))
                unsafe rd_kafka_message_destroy(message)
            } else {
                // They come in long runs, and splitting off what is split off already changes nothing.
                let place = place(message)
                if unsafe strays.last.map({ self.place($0) }) != place { splitOff(place) }
                unsafe strays.append(message)
            }
        }
    }

    /// Has a partition's records come by the data queue instead of the control queue.
    func splitOff(_ place: TopicPartition) {
        let queue = unsafe rd_kafka_queue_get_partition(
            client.handle, place.topic.rawValue, place.partition.rawValue)
        guard let queue = unsafe queue else { return }
        unsafe rd_kafka_queue_forward(queue, data)
        unsafe rd_kafka_queue_destroy(queue)
    }

    /// Forgets records that came by the control queue and are no longer wanted.
    func dropStrays(where isUnwanted: (TopicPartition) -> Bool) {
        unsafe strays.removeAll { message in
            guard isUnwanted(place(message)) else { return false }
            unsafe rd_kafka_message_destroy(message)
            return true
        }
    }

    /// The records that are there, up to the limits, in one batch or in one for each partition. What is not a record
    /// ends them and becomes an event behind them.
    func takeBatches(max: Int, maxBytes: Int, aPartitionEach apart: Bool) -> [RecordBatch] {
        // The one that is being filled lies here and the others in their boxes: what is written for every record must
        // not go through a reference, whose every use is checked.
        var filler = BatchFiller.none
        var boxes: [FillerBox] = []
        var last = 0
        var (count, bytes) = (0, 0)
        while count < max, bytes < maxBytes, let message = unsafe takeMessage() {
            defer { unsafe rd_kafka_message_destroy(message) }
            guard unsafe message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                events.append(event(message))
                // One partition's end is no reason to leave the others' records for the next time.
                if apart, unsafe message.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF { continue }
                break
            }
            // Records of a partition come in long runs, so the last batch is mostly the right one.
            if unsafe boxes.isEmpty || (apart && !boxes[last].isOf(message)) {
                if !boxes.isEmpty { swap(&filler, &boxes[last].filler) }
                if let known = boxes.firstIndex(where: { unsafe $0.isOf(message) }) {
                    last = known
                } else {
                    unsafe boxes.append(FillerBox(for: message, room: room))
                    last = boxes.count - 1
                }
                swap(&filler, &boxes[last].filler)
            }
            bytes += filler.add(message)
            count += 1
        }
        if !boxes.isEmpty { swap(&filler, &boxes[last].filler) }
        if let largest = boxes.map({ $0.filler.size }).max(by: { $0.bytes < $1.bytes }) { room = largest }
        let batches = boxes.map { $0.finish() }
        prefetch.took(records: count, bytes: bytes, of: batches.lazy.compactMap { $0.first?.topicPartition })
        wakeFetching()
        return batches
    }

    /// The next message: a stray of a partition that is not paused, else the data queue's next.
    private func takeMessage() -> Message? {
        if unsafe !strays.isEmpty,
            let index = unsafe strays.firstIndex(where: { !table.paused.contains(place($0)) })
        {
            return unsafe strays.remove(at: index)
        }
        return unsafe rd_kafka_consume_queue(data, 0)
    }

    @safe private func place(_ message: Message) -> TopicPartition {
        unsafe TopicPartition(BatchFiller.topic(of: message), Partition(message.pointee.partition))
    }

    /// What a message says that is not a record.
    @safe private func event(_ message: Message) -> ConsumerEvent {
        let code = unsafe message.pointee.err
        if code == RD_KAFKA_RESP_ERR__PARTITION_EOF {
            return unsafe .end(place(message), Offset(message.pointee.offset))
        }
        let topic = unsafe message.pointee.rkt == nil ? nil : BatchFiller.topic(of: message)
        let number = unsafe message.pointee.partition
        let site = KafkaFault.Site("fetch", topic: topic, partition: number < 0 ? nil : Partition(number))
        return unsafe .fault(
            KafkaFault(
                code, string(rd_kafka_message_errstr(message)), at: site,
                isFatal: code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID))
    }
}

/// A batch that waits for more of its partition.
@safe private final class FillerBox {
    var filler: BatchFiller
    /// The partition of the first message.
    private let topic: OpaquePointer?
    private let partition: Int32

    init(for first: ConsumerCore.Message, room: BatchRoom) {
        filler = BatchFiller(room)
        unsafe topic = first.pointee.rkt
        partition = unsafe first.pointee.partition
    }

    func isOf(_ message: ConsumerCore.Message) -> Bool {
        unsafe message.pointee.partition == partition && message.pointee.rkt == topic
    }

    func finish() -> RecordBatch {
        var full = BatchFiller.none
        swap(&full, &filler)
        return full.finish()
    }
}

/// How much a batch has room for at first: as much as the last one needed, since growing copies what is there.
struct BatchRoom {
    var records = 64
    var headers = 0
    var bytes = 16 * 1024
}

/// Copies messages into an arena.
@safe private struct BatchFiller: ~Copyable {
    private var builder: RecordArena.Builder
    /// The topics met so far, by librdkafka's handle, which stays the same while its partitions are assigned.
    private var handles: [OpaquePointer]

    init(_ room: BatchRoom) {
        builder = RecordArena.Builder(records: room.records, bytes: room.bytes, headers: room.headers)
        unsafe handles = []
    }

    private init() {
        builder = RecordArena.Builder(records: 0, bytes: 1)
        unsafe handles = []
    }

    /// Stands where no batch is.
    static var none: BatchFiller { BatchFiller() }

    var size: BatchRoom {
        BatchRoom(records: builder.count, headers: builder.headerTotal, bytes: builder.byteCount)
    }

    consuming func finish() -> RecordBatch { RecordBatch(builder.finish()) }

    @safe static func topic(of message: ConsumerCore.Message) -> TopicName {
        TopicName(unsafe string(rd_kafka_topic_name(message.pointee.rkt)) ?? "")
    }

    /// Copies a message and tells how many bytes it has.
    @safe mutating func add(_ message: ConsumerCore.Message) -> Int {
        let before = builder.byteCount
        let (headers, start) = unsafe (addHeaders(message), builder.byteCount)
        let key = unsafe builder.append(Self.bytes(message.pointee.key, message.pointee.key_len))
        let value = unsafe builder.append(Self.bytes(message.pointee.payload, message.pointee.len))
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let timestamp = unsafe rd_kafka_message_timestamp(message, &kind)
        unsafe builder.add(
            RecordArena.Entry(
                topic: number(of: message), partition: message.pointee.partition, offset: message.pointee.offset,
                timestamp: kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : timestamp, start: start,
                counts: (key, value), headers: headers))
        return builder.byteCount - before
    }

    private mutating func number(of message: ConsumerCore.Message) -> Int32 {
        guard let handle = unsafe message.pointee.rkt else { return 0 }
        if let known = unsafe handles.lastIndex(of: handle) { return Int32(clamping: known) }
        unsafe handles.append(handle)
        return builder.intern(Self.topic(of: message))
    }

    private mutating func addHeaders(_ message: ConsumerCore.Message) -> (first: Int32, count: Int32) {
        let first = Int32(clamping: builder.headerTotal)
        var headers: OpaquePointer?
        guard unsafe rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR else {
            return (first, 0)
        }
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var length = 0
        while unsafe rd_kafka_header_get_all(headers, index, &name, &value, &length) == RD_KAFKA_RESP_ERR_NO_ERROR {
            let nameLength = unsafe name.map { unsafe strlen($0) } ?? 0
            unsafe builder.addHeader(
                UnsafeRawBufferPointer(start: name, count: nameLength), Self.bytes(value, length))
            index += 1
        }
        return (first, Int32(clamping: index))
    }

    /// Nil is null; a pointer to no bytes is not.
    private static func bytes(_ start: UnsafeRawPointer?, _ count: Int) -> UnsafeRawBufferPointer? {
        unsafe start.map { unsafe UnsafeRawBufferPointer(start: $0, count: count) }
    }
}
