extension MockCluster {
    /// A request that appends the marker of a transaction that was committed: what has an offset and is no record.
    public static func marker(to topic: String, partition: Int32) -> [UInt8] {
        // A record of its own kind: version 0 and type 1 as its key, version and epoch as its value.
        let record: [UInt8] = [0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 0, 0]
        var batch = integer(Int32(-1)) + [2] + integer(Int32(0))
        // Transactional, and control.
        batch += integer(Int16(0x30)) + integer(Int32(0))
        batch += integer(Int64(1_767_225_600_000)) + integer(Int64(1_767_225_600_000))
        batch += integer(Int64(-1)) + integer(Int16(-1)) + integer(Int32(-1)) + integer(Int32(1))
        batch += [UInt8(record.count * 2)] + record
        batch = integer(Int64(0)) + integer(Int32(batch.count)) + batch
        // Produce, version 7, without a transaction, acknowledged by all.
        var request = integer(Int16(0)) + integer(Int16(7)) + integer(Int32(1)) + text("marker")
        request += integer(Int16(-1)) + integer(Int16(-1)) + integer(Int32(10_000))
        request += integer(Int32(1)) + text(topic) + integer(Int32(1)) + integer(partition)
        request += integer(Int32(batch.count)) + batch
        return integer(Int32(request.count)) + request
    }

    private static func integer(_ value: some FixedWidthInteger) -> [UInt8] {
        stride(from: value.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    private static func text(_ text: String) -> [UInt8] { integer(Int16(text.utf8.count)) + Array(text.utf8) }
}
