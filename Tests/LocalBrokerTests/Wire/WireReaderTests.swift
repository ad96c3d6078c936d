import Testing

@testable import LocalBroker

@Suite struct WireReaderTests {
    /// Runs a body over a lent frame.
    private func read<T>(
        _ bytes: [UInt8], flexible: Bool = false, _ body: (inout WireReader) throws(WireFault) -> T
    ) throws(WireFault) -> T {
        let result = unsafe bytes.withUnsafeBytes { buffer in
            Result { () throws(WireFault) in
                var reader = unsafe WireReader(buffer)
                reader.isFlexible = flexible
                return try body(&reader)
            }
        }
        return try result.get()
    }

    private func fault<T>(
        _ bytes: [UInt8], flexible: Bool = false, _ body: (inout WireReader) throws(WireFault) -> T
    ) -> WireFault? {
        do throws(WireFault) { _ = try read(bytes, flexible: flexible, body) } catch { return error }
        return nil
    }

    @Test func numbersAreBigEndian() throws {
        let bytes: [UInt8] = [0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87]
        #expect(try read(bytes) { r throws(WireFault) in try r.int8() } == -128)
        #expect(try read(bytes) { r throws(WireFault) in try r.int16() } == -0x7F7F)
        #expect(try read(bytes) { r throws(WireFault) in try r.int32() } == Int32(bitPattern: 0x8081_8283))
        #expect(try read(bytes) { r throws(WireFault) in try r.uint32() } == 0x8081_8283)
        #expect(try read(bytes) { r throws(WireFault) in try r.int64() } == Int64(bitPattern: 0x8081_8283_8485_8687))
        #expect(try read([0, 2]) { r throws(WireFault) in [try r.bool(), try r.bool()] } == [false, true])
    }

    @Test(
        arguments: [
            ([0x00], 0), ([0x7F], 127), ([0x80, 0x01], 128), ([0xFF, 0xFF, 0xFF, 0xFF, 0x0F], UInt32.max),
            ([0x80, 0x80, 0x80, 0x80, 0x00], 0),
        ] as [([UInt8], UInt32)])
    func unsignedVarints(_ bytes: [UInt8], _ value: UInt32) throws {
        #expect(try read(bytes) { r throws(WireFault) in try r.uvarint() } == value)
    }

    @Test(
        arguments: [
            ([0x00], 0), ([0x01], -1), ([0x02], 1), ([0xFE, 0xFF, 0xFF, 0xFF, 0x0F], Int32.max),
            ([0xFF, 0xFF, 0xFF, 0xFF, 0x0F], Int32.min),
        ] as [([UInt8], Int32)])
    func signedVarints(_ bytes: [UInt8], _ value: Int32) throws {
        #expect(try read(bytes) { r throws(WireFault) in try r.varint() } == value)
    }

    @Test func longVarints() throws {
        let most = [UInt8](repeating: 0xFF, count: 9) + [0x01]
        #expect(try read(most) { r throws(WireFault) in try r.varlong() } == Int64.min)
        #expect(try read([0xFE] + most.dropFirst()) { r throws(WireFault) in try r.varlong() } == Int64.max)
        #expect(
            fault([UInt8](repeating: 0xFF, count: 9) + [0x02]) { r throws(WireFault) in try r.varlong() }?.reason
                == .varintTooLong)
    }

    @Test func varintsThatDoNotFitAreFaults() {
        for bytes in [[0xFF, 0xFF, 0xFF, 0xFF, 0x1F], [0x80, 0x80, 0x80, 0x80, 0x80, 0x00]] as [[UInt8]] {
            #expect(fault(bytes) { r throws(WireFault) in try r.uvarint() }?.reason == .varintTooLong)
        }
        #expect(fault([0x80]) { r throws(WireFault) in try r.uvarint() }?.reason == .truncated(needed: 1))
    }

    @Test func stringsAndTheirNulls() throws {
        #expect(try read([0, 2, 0xC3, 0xA9]) { r throws(WireFault) in try r.string() } == "é")
        #expect(try read([3, 0xC3, 0xA9], flexible: true) { r throws(WireFault) in try r.string() } == "é")
        #expect(try read([0xFF, 0xFF]) { r throws(WireFault) in try r.nullableString() } == nil)
        #expect(try read([0], flexible: true) { r throws(WireFault) in try r.nullableString() } == nil)
        #expect(fault([0xFF, 0xFF]) { r throws(WireFault) in try r.string() }?.reason == .nullWhereRequired)
        #expect(fault([0], flexible: true) { r throws(WireFault) in try r.string() }?.reason == .nullWhereRequired)
        #expect(fault([0xFF, 0xFE]) { r throws(WireFault) in try r.string() }?.reason == .negativeLength(-2))
        #expect(fault([0, 2, 0xC3, 0x28]) { r throws(WireFault) in try r.string() }?.reason == .invalidUTF8)
        let fault = fault([0, 5, 0x61]) { r throws(WireFault) in try r.string() }
        #expect(fault == WireFault(reason: .truncated(needed: 4), position: 2))
    }

    @Test func aCompactStringIsNoLongerThanAnyOther() throws {
        let longest = [UInt8](repeating: 0x61, count: 32767)
        let text = try read([0x80, 0x80, 0x02] + longest, flexible: true) { r throws(WireFault) in try r.string() }
        #expect(text.utf8.count == 32767)
        let fault = fault([0x81, 0x80, 0x02, 0x61] + longest, flexible: true) { r throws(WireFault) in try r.string() }
        #expect(fault?.reason == .tooLong(32768))
    }

    @Test func bytesStayWhereTheyAre() throws {
        let bytes: [UInt8] = [0, 0, 0, 2, 8, 9]
        #expect(try read(bytes) { r throws(WireFault) in try r.nullableByteRange() } == 4..<6)
        #expect(try read(bytes) { r throws(WireFault) in try r.bytes() } == [8, 9])
        #expect(try read([3, 8, 9], flexible: true) { r throws(WireFault) in try r.nullableByteRange() } == 1..<3)
        #expect(
            try read([0xFF, 0xFF, 0xFF, 0xFF]) { r throws(WireFault) in try r.nullableByteRange() } == nil)
        #expect(
            fault([0x7F, 0xFF, 0xFF, 0xFF]) { r throws(WireFault) in try r.bytes() }?.reason
                == .truncated(needed: Int(Int32.max)))
        #expect(
            fault([0xFF, 0xFF, 0xFF, 0xFF, 0x0F], flexible: true) { r throws(WireFault) in try r.bytes() }?.reason
                == .tooLong(Int(UInt32.max)))
    }

    @Test func anArrayCannotClaimMoreThanTheFrameHolds() throws {
        #expect(try read([0, 0, 0, 1, 0, 0, 0, 7]) { r throws(WireFault) in try r.int32s() } == [7])
        #expect(try read([2, 0, 0, 0, 7], flexible: true) { r throws(WireFault) in try r.int32s() } == [7])
        #expect(
            fault([0x7F, 0xFF, 0xFF, 0xFF, 0]) { r throws(WireFault) in try r.int32s() }?.reason
                == .tooManyElements(Int(Int32.max)))
        #expect(
            fault([0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0], flexible: true) { r throws(WireFault) in try r.strings() }?.reason
                == .tooManyElements(Int(Int32.max) - 1))
        #expect(
            fault([0xFF, 0xFF, 0xFF, 0xFE]) { r throws(WireFault) in try r.int32s() }?.reason == .negativeLength(-2))
        #expect(
            fault([0xFF, 0xFF, 0xFF, 0xFF]) { r throws(WireFault) in try r.int32s() }?.reason == .nullWhereRequired)
    }

    /// Empty strings cost a byte each, so that a large frame could still claim a great many.
    @Test func allArraysOfAFrameShareOneBudget() {
        let half = WireReader.maximumElements / 2
        let count = [UInt8](unsafe withUnsafeBytes(of: UInt32(half).bigEndian) { unsafe Array($0) })
        let array = count + [UInt8](repeating: 0, count: half * 4)
        #expect(throws: Never.self) {
            try read(array + array) { r throws(WireFault) in (try r.int32s(), try r.int32s()) }
        }
        let fault = fault(array + array + [0, 0, 0, 1, 0, 0, 0, 0]) { r throws(WireFault) in
            (try r.int32s(), try r.int32s(), try r.int32s())
        }
        #expect(fault?.reason == .tooManyElements(1))
    }

    @Test func taggedFieldsArePassedOver() throws {
        func left(_ bytes: [UInt8]) throws -> Int {
            try read(bytes, flexible: true) { r throws(WireFault) in
                try r.skipTaggedFields()
                return r.remaining
            }
        }
        #expect(try left([0, 9]) == 1)
        #expect(try left([2, 0, 1, 0xAA, 5, 2, 0xBB, 0xCC, 9]) == 1)
        #expect(
            try read([2], flexible: false) { r throws(WireFault) in
                try r.skipTaggedFields()
                return r.remaining
            } == 1)
    }

    @Test(
        arguments: [
            ([2, 1, 0, 1, 0], .taggedFieldsOutOfOrder), ([2, 1, 0, 0, 0], .taggedFieldsOutOfOrder),
            ([1, 0, 2, 0xAA], .truncated(needed: 1)), ([1], .truncated(needed: 1)),
            ([0xFF, 0xFF, 0xFF, 0xFF, 0x0F], .truncated(needed: 1)),
            ([1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], .truncated(needed: Int(UInt32.max))),
        ] as [([UInt8], WireFault.Reason)])
    func taggedFieldsThatLie(_ bytes: [UInt8], _ reason: WireFault.Reason) {
        #expect(fault(bytes, flexible: true) { r throws(WireFault) in try r.skipTaggedFields() }?.reason == reason)
    }

    @Test func aFaultSaysWhatAndWhere() {
        let fault = WireFault(reason: .truncated(needed: 4), position: 17)
        #expect("\(fault)" == "malformed request at byte 17: 4 more bytes are needed")
    }
}
