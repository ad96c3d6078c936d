internal import CRdKafka

// librdkafka takes and returns lists of things as arrays of pointers.

/// Lends an array of what `make` made, and frees each of them afterwards.
@safe func withNatives<Element>(
    _ elements: [Element], _ make: (Element) throws(KafkaFault) -> OpaquePointer?, free: (OpaquePointer?) -> Void,
    _ body: (UnsafeMutablePointer<OpaquePointer?>?, Int) -> Void
) throws(KafkaFault) {
    var natives: [OpaquePointer?]
    unsafe natives = []
    defer { unsafe natives.forEach(free) }
    for element in elements { unsafe natives.append(try make(element)) }
    unsafe natives.withUnsafeMutableBufferPointer { buffer in unsafe body(buffer.baseAddress, buffer.count) }
}

/// What `read` makes of each element of an array that `list` returns with its count.
@safe func readNatives<Element>(
    _ list: (UnsafeMutablePointer<Int>) -> UnsafeMutablePointer<OpaquePointer?>?,
    _ read: (OpaquePointer) -> Element
) -> [Element] {
    var count = 0
    guard let natives = unsafe list(&count) else { return [] }
    return unsafe UnsafeBufferPointer(start: natives, count: count).compactMap { native in
        unsafe native.map { unsafe read($0) }
    }
}

/// Runs `make` with room for a reason and throws it when nothing was made.
@safe func makeNative(
    at site: KafkaFault.Site, _ make: (UnsafeMutablePointer<CChar>?, Int) -> OpaquePointer?
) throws(KafkaFault) -> OpaquePointer {
    var reason: String?
    let made = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
        unsafe buffer.initialize(repeating: 0)
        let made = unsafe make(buffer.baseAddress, buffer.count)
        reason = string(buffer.baseAddress)
        return unsafe made
    }
    guard let made = unsafe made else { throw KafkaFault(RD_KAFKA_RESP_ERR__INVALID_ARG, reason, at: site) }
    return unsafe made
}

/// The faults of those topics that have one.
@safe func topicFaults(
    _ operation: String, _ list: (UnsafeMutablePointer<Int>) -> UnsafeMutablePointer<OpaquePointer?>?
) -> [TopicName: KafkaFault] {
    let results = unsafe readNatives(list) { result in
        let topic = TopicName(unsafe string(rd_kafka_topic_result_name(result)) ?? "")
        let code = unsafe rd_kafka_topic_result_error(result)
        let fault = unsafe KafkaFault(
            code, string(rd_kafka_topic_result_error_string(result)), at: KafkaFault.Site(operation, topic: topic))
        return (topic, code == RD_KAFKA_RESP_ERR_NO_ERROR ? nil : fault)
    }
    return Dictionary(results.compactMap { topic, fault in fault.map { (topic, $0) } }) { first, _ in first }
}
