internal import CRdKafka

/// What librdkafka calls back while its control queue is drained, all of it on the owner's thread.
///
/// Functions for C cannot capture, so the client's opaque pointer leads here, and from here to the core. Nothing is
/// decided in a callback that could wait: a revocation is only noted, and answered to librdkafka when it was drained.
@safe final class ConsumerCallbacks {
    /// Set once, before the client is served for the first time.
    weak var core: ConsumerCore?

    /// `configuration` must not outlive this object, nor the client that is made of it.
    @safe func install(in configuration: OpaquePointer) {
        unsafe rd_kafka_conf_set_opaque(configuration, Unmanaged.passUnretained(self).toOpaque())
        unsafe rd_kafka_conf_set_rebalance_cb(configuration) { _, code, list, opaque in
            guard let core = ConsumerCallbacks.core(of: opaque) else { return }
            core.rebalance(code, PartitionList.read(list).map(\.place))
        }
        unsafe rd_kafka_conf_set_log_cb(configuration) { client, severity, facility, text in
            guard let client = unsafe client else { return }
            guard let core = unsafe ConsumerCallbacks.core(of: rd_kafka_opaque(client)) else { return }
            core.hooks.log(
                ClientHooks.LogLine(
                    severity: Int(severity), facility: string(facility) ?? "", text: string(text) ?? ""))
        }
        unsafe rd_kafka_conf_set_stats_cb(configuration) { _, json, length, opaque in
            guard let core = ConsumerCallbacks.core(of: opaque), let json = unsafe json else { return 0 }
            let bytes = unsafe UnsafeRawBufferPointer(start: json, count: length)
            core.hooks.statistics(unsafe String(decoding: bytes, as: UTF8.self))
            return 0
        }
        unsafe rd_kafka_conf_set_error_cb(configuration) { client, code, reason, opaque in
            guard let core = ConsumerCallbacks.core(of: opaque) else { return }
            let site = KafkaFault.Site("serve")
            let fault =
                core.client.fatalFault(at: site)
                ?? KafkaFault(rd_kafka_resp_err_t(rawValue: code), string(reason), at: site)
            core.hooks.fault(fault)
        }
    }

    @safe static func core(of opaque: UnsafeMutableRawPointer?) -> ConsumerCore? {
        guard let opaque = unsafe opaque else { return nil }
        return unsafe Unmanaged<ConsumerCallbacks>.fromOpaque(opaque).takeUnretainedValue().core
    }
}
