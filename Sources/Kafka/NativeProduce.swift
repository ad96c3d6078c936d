internal import CRdKafka

/// Hands records to librdkafka, which copies them before the call returns.
///
/// The array of arguments is made once for all the records of a batch. Header names and values go over with their
/// lengths, so that a value may be any bytes and an empty one is not null.
@safe struct NativeProduce: ~Copyable {
    /// Four that every record has, and key, partition, time and headers.
    private static let capacity = 8

    private let client: OpaquePointer
    private let arguments: UnsafeMutablePointer<rd_kafka_vu_t>
    /// Where bytes that are there but empty point to: nil would be null.
    private let nothing: UnsafeMutableRawPointer

    /// Lends one, whose memory is the stack's.
    static func with(_ client: NativeClient, _ body: (borrowing NativeProduce) -> Void) {
        unsafe withUnsafeTemporaryAllocation(of: rd_kafka_vu_t.self, capacity: Self.capacity) { arguments in
            guard let start = arguments.baseAddress else { preconditionFailure("memory of the stack has no place") }
            unsafe start.initialize(repeating: rd_kafka_vu_t(), count: Self.capacity)
            body(unsafe NativeProduce(client, start))
        }
    }

    private init(_ client: NativeClient, _ arguments: UnsafeMutablePointer<rd_kafka_vu_t>) {
        unsafe self.client = client.handle
        unsafe self.arguments = arguments
        unsafe nothing = UnsafeMutableRawPointer(arguments)
        unsafe arguments[0].vtype = RD_KAFKA_VTYPE_RKT
        unsafe arguments[1].vtype = RD_KAFKA_VTYPE_OPAQUE
        unsafe arguments[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS
        unsafe arguments[2].u.i = RD_KAFKA_MSG_F_COPY
        unsafe arguments[3].vtype = RD_KAFKA_VTYPE_VALUE
    }

    /// One record; the code of the refusal, or 0. `bytes` is what the entries count in.
    @safe func callAsFunction(
        _ entry: OutgoingBatch.Entry, headers: ArraySlice<OutgoingBatch.HeaderEntry>, bytes: UnsafeRawBufferPointer,
        topic: OpaquePointer, number: UInt
    ) -> Int32 {
        unsafe arguments[0].u.rkt = topic
        unsafe arguments[1].u.ptr = UnsafeMutableRawPointer(bitPattern: number)
        let valueStart = entry.start + max(0, Int(entry.keyCount))
        unsafe arguments[3].u.mem = memory(bytes, valueStart, entry.valueCount)
        var count = 4
        if entry.keyCount >= 0 {
            unsafe arguments[count].vtype = RD_KAFKA_VTYPE_KEY
            unsafe arguments[count].u.mem = memory(bytes, entry.start, entry.keyCount)
            count += 1
        }
        if entry.partition != OutgoingBatch.unset {
            unsafe arguments[count].vtype = RD_KAFKA_VTYPE_PARTITION
            unsafe arguments[count].u.i32 = entry.partition
            count += 1
        }
        if entry.timestamp != Int64(OutgoingBatch.unset) {
            unsafe arguments[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP
            unsafe arguments[count].u.i64 = entry.timestamp
            count += 1
        }
        guard !headers.isEmpty else { return produce(count) }
        // Headers are rare enough to have an array of their own, one longer than the fixed one.
        let list = unsafe rd_kafka_headers_new(headers.count)
        for header in headers {
            let name = unsafe place(bytes, header.start, header.nameCount)
            let value = unsafe place(bytes, header.start + Int(header.nameCount), header.valueCount)
            unsafe rd_kafka_header_add(
                list, name?.assumingMemoryBound(to: CChar.self), Int(header.nameCount), value,
                max(0, Int(header.valueCount)))
        }
        unsafe arguments[count].vtype = RD_KAFKA_VTYPE_HEADERS
        unsafe arguments[count].u.headers = list
        let refusal = produce(count + 1)
        // Only an accepted record takes its headers with it.
        if refusal != 0 { unsafe rd_kafka_headers_destroy(list) }
        return refusal
    }

    private func produce(_ count: Int) -> Int32 {
        guard let error = unsafe rd_kafka_produceva(client, arguments, count) else { return 0 }
        defer { unsafe rd_kafka_error_destroy(error) }
        return unsafe rd_kafka_error_code(error).rawValue
    }

    private func place(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ count: Int32) -> UnsafeMutableRawPointer? {
        if count < 0 { return nil }
        guard count > 0, let base = bytes.baseAddress else { return unsafe nothing }
        return unsafe UnsafeMutableRawPointer(mutating: base + start)
    }

    private func memory(
        _ bytes: UnsafeRawBufferPointer, _ start: Int, _ count: Int32
    ) -> rd_kafka_vu_s.__Unnamed_union_u.__Unnamed_struct_mem {
        unsafe .init(ptr: place(bytes, start, count), size: max(0, Int(count)))
    }
}
