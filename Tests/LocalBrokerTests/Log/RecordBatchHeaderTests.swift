import Testing

@testable import LocalBroker

@Suite struct RecordBatchHeaderTests {
    private func fault(_ bytes: [UInt8], limit: Int = 1 << 20) -> AppendFault? {
        unsafe bytes.withUnsafeBytes { buffer in
            do throws(AppendFault) {
                _ = try unsafe RecordBatchHeader.validated(buffer, limit: limit)
                return nil
            } catch {
                return error
            }
        }
    }

    /// A batch whose bytes at `position` are replaced, with a checksum that is right again.
    private func changed(_ position: Int, _ bytes: [UInt8], in batch: [UInt8]? = nil) -> [UInt8] {
        var batch = batch ?? RecordBatchBuilder(count: 3).bytes()
        batch.replaceSubrange(position..<position + bytes.count, with: bytes)
        RecordBatchBuilder.fixChecksum(&batch)
        return batch
    }

    @Test func readsEveryField() throws {
        var builder = RecordBatchBuilder(count: 3, timestamp: 5000, codec: .lz4).idempotent(77, epoch: 2, sequence: 40)
        builder.baseOffset = 123
        let bytes = builder.bytes()
        let header = try unsafe bytes.withUnsafeBytes { unsafe try RecordBatchHeader.validated($0, limit: 1000) }
        #expect(header.baseOffset == 123)
        #expect(header.lastOffset == 125)
        #expect(header.totalBytes == bytes.count)
        #expect(header.recordCount == 3)
        #expect(header.compression == 3)
        #expect(header.baseTimestamp == 5000)
        #expect(header.maxTimestamp == 5002)
        #expect(header.producerID == 77)
        #expect(header.producerEpoch == 2)
        #expect(header.baseSequence == 40)
        #expect(header.lastSequence == 42)
    }

    @Test(arguments: TestCodec.allCases) func acceptsEveryCodec(codec: TestCodec) {
        #expect(fault(RecordBatchBuilder(count: 5, codec: codec).bytes()) == nil)
    }

    @Test func refusesEveryPrefix() {
        let batch = RecordBatchBuilder(count: 2).bytes()
        for count in 0..<batch.count { #expect(fault(Array(batch.prefix(count))) == .corrupt, "\(count) bytes") }
    }

    @Test func refusesEveryFlippedBitThatTheChecksumCovers() {
        let batch = RecordBatchBuilder(count: 2).bytes()
        for position in 17..<batch.count {
            for bit in 0..<8 {
                var flipped = batch
                flipped[position] ^= 1 << bit
                #expect(fault(flipped) == .corrupt, "byte \(position), bit \(bit)")
            }
        }
    }

    @Test func survivesEveryFlippedBitElsewhere() {
        let batch = RecordBatchBuilder(count: 2).bytes()
        for position in 8..<17 where !(12..<16).contains(position) {
            for bit in 0..<8 {
                var flipped = batch
                flipped[position] ^= 1 << bit
                #expect(fault(flipped) != nil, "byte \(position), bit \(bit)")
            }
        }
    }

    @Test func namesWhatIsWrong() {
        #expect(fault(changed(16, [0])) == .unsupportedForMessageFormat)
        #expect(fault(changed(16, [1])) == .unsupportedForMessageFormat)
        #expect(fault(changed(16, [3])) == .corrupt)
        #expect(fault(RecordBatchBuilder(count: 1, valueBytes: 500).bytes(), limit: 500) == .tooLarge)
        #expect(fault(changed(23, [0, 0, 0, 1])) == .invalidRecord, "last offset delta")
        #expect(fault(changed(57, [0, 0, 0, 0])) == .invalidRecord, "no records")
        #expect(fault(changed(57, [0x80, 0, 0, 0])) == .invalidRecord, "fewer than no records")
        #expect(fault(changed(22, [5])) == .invalidRecord, "codec")
        #expect(fault(changed(22, [0x08])) == .invalidRecord, "append time")
        #expect(fault(changed(22, [0x10])) == .invalidRecord, "transactional")
        #expect(fault(changed(22, [0x20])) == .invalidRecord, "control")
        let idempotent = RecordBatchBuilder(count: 3).idempotent(1, sequence: 0).bytes()
        #expect(fault(changed(51, [0xff, 0xff], in: idempotent)) == .invalidRecord, "epoch")
        #expect(fault(changed(53, [0xff, 0xff, 0xff, 0xff], in: idempotent)) == .invalidRecord, "sequence")
    }

    @Test func wrapsSequences() {
        let last = RecordBatchBuilder(count: 5).idempotent(1, sequence: Int32.max - 1).bytes()
        let header = unsafe last.withUnsafeBytes { unsafe RecordBatchHeader($0) }
        #expect(header.lastSequence == 2)
    }
}
