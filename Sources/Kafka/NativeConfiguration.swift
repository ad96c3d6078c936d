internal import CRdKafka
internal import Platform

/// A configuration of librdkafka in the making. Every option that cannot be is collected, so that one start tells all.
@safe struct NativeConfiguration: ~Copyable {
    private let handle: OpaquePointer
    private(set) var faults: [String] = []

    init() { unsafe handle = rd_kafka_conf_new() }

    deinit { unsafe rd_kafka_conf_destroy(handle) }

    /// What all clients share. `brokers` and the hooks are typed; the rest of `configuration` comes by `add`.
    init(_ configuration: ClientConfiguration) {
        self.init()
        if configuration.brokers.isEmpty { faults.append("brokers: none given") }
        set("bootstrap.servers", configuration.brokers.joined(separator: ","))
        set("client.id", configuration.clientID)
        // Log lines become events of the client's queue, so that no thread of librdkafka runs code of ours.
        set("log.queue", "true")
        set("statistics.interval.ms", configuration.hooks.statisticsInterval)
        for (name, value) in configuration.extra.sorted(by: { $0.key < $1.key }) {
            if let owner = Self.owner(of: name) {
                faults.append("\(name): not to be set here, \(owner)")
            } else {
                set(name, value)
            }
        }
    }

    mutating func set(_ name: String, _ value: String) {
        // C would see less of such a text than we do.
        guard !name.utf8.contains(0), !value.utf8.contains(0) else {
            faults.append("\(name): contains a zero byte")
            return
        }
        let reason = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer -> String? in
            let outcome = unsafe rd_kafka_conf_set(handle, name, value, buffer.baseAddress, buffer.count)
            return outcome == RD_KAFKA_CONF_OK ? nil : string(buffer.baseAddress) ?? "refused"
        }
        if let reason { faults.append("\(name)=\(value): \(reason)") }
    }

    mutating func set(_ name: String, _ value: some BinaryInteger) { set(name, String(value)) }

    mutating func set(_ name: String, _ flag: Bool) { set(name, flag ? "true" : "false") }

    /// Sets an option that counts milliseconds.
    mutating func set(_ name: String, _ duration: Duration) { set(name, duration.milliseconds) }

    /// Sets an option that counts milliseconds and takes parts of one.
    mutating func set(_ name: String, fine duration: Duration) {
        let (seconds, attoseconds) = duration.components
        set(name, "\(Double(seconds) * 1000 + Double(attoseconds / 1_000_000_000_000) / 1000)")
    }

    /// Notes something that is wrong with more than one option.
    mutating func refuse(_ fault: String) { faults.append(fault) }

    /// Lends the handle, for callbacks.
    @safe func withHandle(_ body: (OpaquePointer) -> Void) { unsafe body(handle) }

    /// Makes the client, or tells everything that is wrong with the options.
    consuming func makeClient(_ type: rd_kafka_type_t, at site: KafkaFault.Site) throws(KafkaFault) -> OpaquePointer {
        var faults = faults
        if faults.isEmpty {
            // The client takes the configuration only when it comes to be; a copy keeps the ownership plain.
            let copy = unsafe rd_kafka_conf_dup(handle)
            let made = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
                let client = unsafe rd_kafka_new(type, copy, buffer.baseAddress, buffer.count)
                if unsafe client == nil { faults.append(string(buffer.baseAddress) ?? "refused") }
                return unsafe client
            }
            if let made = unsafe made { return unsafe made }
            unsafe rd_kafka_conf_destroy(copy)
        }
        throw KafkaFault(.configuration, faults.joined(separator: "; "), at: site)
    }

    /// Why an option is not the caller's to set, nil when it is.
    private static func owner(of name: String) -> String? {
        switch name {
        // The field would overrule it in silence.
        case "bootstrap.servers", "metadata.broker.list", "client.id", "log.queue", "statistics.interval.ms",
            "linger.ms", "queue.buffering.max.ms", "delivery.timeout.ms", "message.timeout.ms",
            "topic.metadata.propagation.max.ms", "queue.buffering.max.messages", "queue.buffering.max.kbytes",
            "message.max.bytes", "batch.size", "compression.codec", "compression.type", "partitioner",
            "enable.partition.eof", "fetch.wait.max.ms", "queued.max.messages.kbytes", "queued.min.messages":
            "it has a field of its own"
        case "delivery.report.only.error": "what is acknowledged is to be told too"
        case "test.mock.num.brokers": "it puts a broker that forgets in the place of the real ones"
        case "acks", "request.required.acks", "enable.idempotence", "idempotence", "enable.gapless.guarantee",
            "transactional.id", "max.in.flight", "max.in.flight.requests.per.connection":
            "acknowledgement is a promise of the producer"
        case "group.id", "group.instance.id", "group.protocol", "group.protocol.type", "group.remote.assignor",
            "partition.assignment.strategy", "session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms":
            "groups belong to the consumer"
        case "enable.auto.commit", "auto.commit.enable", "auto.commit.interval.ms", "enable.auto.offset.store",
            "auto.offset.reset", "offset.store.method", "offset.store.path", "offset.store.sync.interval.ms":
            "offsets belong to the consumer"
        case _ where name.hasSuffix("_cb") || name == "opaque" || name == "enabled_events":
            "it is a pointer"
        case _: nil
        }
    }
}

extension KafkaFault {
    /// A system call that a client needs did not work.
    init(system error: SystemError, at site: Site) {
        self.init(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, error.description, at: site)
    }
}
