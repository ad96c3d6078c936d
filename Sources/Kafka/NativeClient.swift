internal import CRdKafka
internal import Platform
internal import Synchronization

/// A client of librdkafka, and the queue of everything it wants served.
///
/// Destruction is a call, not an order of properties: `destroy` is the last thing its owner does. Whoever else holds
/// the object may use the handle only for calls that librdkafka documents as safe from any thread, and only while
/// something it knows keeps the owner from destroying it.
@safe final class NativeClient: @unchecked Sendable {
    // Unchecked: librdkafka's handles are safe to use from any thread; both are constant until the owner's last call.
    let handle: OpaquePointer
    let queue: OpaquePointer
    /// Who leads partitions, as far as somebody has asked for it: a hint, which may be old.
    let leaders = Mutex<[TopicPartition: Int32]>([:])

    /// Takes over a fresh client; `queue` is the one its owner will drain, and rings `bell` when it fills.
    @safe init(handle: OpaquePointer, queue: OpaquePointer, bell: Doorbell) {
        unsafe self.handle = handle
        unsafe self.queue = queue
        Self.ring(bell, for: queue)
        // Nil is the main queue, where the lines wait that were written before anyone could listen.
        unsafe rd_kafka_set_log_queue(handle, nil)
    }

    /// Has librdkafka ring the bell whenever `queue` is no longer empty: once, until it was drained.
    @safe static func ring(_ bell: Doorbell, for queue: OpaquePointer) {
        var one: UInt64 = 1
        unsafe rd_kafka_queue_io_event_enable(queue, bell.fileDescriptor, &one, 8)
    }

    /// Stops the bell for a queue and gives it back.
    @safe static func release(queue: OpaquePointer) {
        unsafe rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
        unsafe rd_kafka_queue_destroy(queue)
    }

    /// Ends the client and its threads. Without `leavingGroup` a consumer that could not leave is just dropped.
    func destroy(leavingGroup: Bool = true) {
        Self.release(queue: unsafe queue)
        unsafe rd_kafka_destroy_flags(handle, leavingGroup ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
    }

    /// The fault that made the client useless, if there is one.
    func fatalFault(at site: KafkaFault.Site) -> KafkaFault? {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
            let code = unsafe rd_kafka_fatal_error(handle, buffer.baseAddress, buffer.count)
            guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return nil }
            return KafkaFault(code, string(buffer.baseAddress), at: site, isFatal: true)
        }
    }

    /// Serves the events that a client has besides its own: lines, statistics, faults.
    @safe func serve(_ event: OpaquePointer, _ hooks: ClientHooks) {
        switch unsafe rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_LOG:
            var facility: UnsafePointer<CChar>?
            var text: UnsafePointer<CChar>?
            var severity: Int32 = 0
            guard unsafe rd_kafka_event_log(event, &facility, &text, &severity) == 0 else { return }
            hooks.log(
                ClientHooks.LogLine(
                    severity: Int(severity), facility: string(facility) ?? "", text: string(text) ?? ""))
        case RD_KAFKA_EVENT_STATS:
            if let statistics = unsafe string(rd_kafka_event_stats(event)) { hooks.statistics(statistics) }
        case RD_KAFKA_EVENT_ERROR:
            let site = KafkaFault.Site("serve")
            if unsafe rd_kafka_event_error_is_fatal(event) != 0, let fault = fatalFault(at: site) {
                hooks.fault(fault)
            } else {
                unsafe hooks.fault(
                    KafkaFault(rd_kafka_event_error(event), string(rd_kafka_event_error_string(event)), at: site))
            }
        case _: break
        }
    }
}
