import Testing

@testable import LocalBroker

@Suite struct WireWriterTests {
    private func writer(_ api: ApiKey, _ version: Int16) -> WireWriter {
        WireWriter(answering: RequestHeader(api: api, version: version, correlationID: 7))
    }

    /// What a writer has written, of which nothing here is too large for a frame.
    private func bytes(_ writer: consuming WireWriter) throws -> [UInt8] { try #require(writer.finish()).bytes }

    @Test func whatNoFrameCanSayIsNone() {
        var writer = writer(.fetch, 11)
        writer.splice(0, count: Int(Int32.max))
        #expect(writer.finish() == nil)
    }

    @Test func theHeaderFollowsTheVersion() throws {
        #expect(try bytes(writer(.fetch, 11)) == [0, 0, 0, 4, 0, 0, 0, 7])
        #expect(try bytes(writer(.fetch, 12)) == [0, 0, 0, 5, 0, 0, 0, 7, 0])
        #expect(try bytes(writer(.apiVersions, 3)) == [0, 0, 0, 4, 0, 0, 0, 7])
    }

    @Test func splicesCountInTheLength() throws {
        var writer = writer(.fetch, 11)
        writer.int8(1)
        writer.splice(5, count: 1000)
        writer.splice(6, count: 0)
        writer.int8(2)
        writer.splice(7, count: 24)
        let frame = try #require(writer.finish())
        #expect(frame.bytes == [0, 0, 4, 6, 0, 0, 0, 7, 1, 2])
        #expect(
            frame.splices == [
                WireSplice(position: 9, payload: 5, count: 1000), WireSplice(position: 10, payload: 7, count: 24),
            ])
    }

    @Test(
        arguments: [
            (0, [0]), (127, [0x7F]), (128, [0x80, 1]), (UInt32.max, [0xFF, 0xFF, 0xFF, 0xFF, 0xF]),
        ] as [(UInt32, [UInt8])])
    func varints(_ value: UInt32, _ expected: [UInt8]) throws {
        var writer = writer(.fetch, 11)
        writer.uvarint(value)
        #expect(try Array(bytes(writer).dropFirst(8)) == expected)
    }

    /// A message may quote what a client sent, up to the limit of a string by itself.
    @Test(arguments: [(ApiKey.fetch, 11), (.fetch, 12)] as [(ApiKey, Int16)])
    func aStringThatIsTooLongIsCutOff(_ api: ApiKey, _ version: Int16) throws {
        for text in ["a", "é", "€", "😀"] {
            for extra in 0..<4 {
                var writer = writer(api, version)
                let header = try bytes(writer).count
                writer.string(String(repeating: "x", count: extra) + String(repeating: text, count: 33000))
                let written = try Array(bytes(writer).dropFirst(header))
                let result = unsafe written.withUnsafeBytes { buffer in
                    Result { () throws(WireFault) in
                        var reader = unsafe WireReader(buffer)
                        reader.isFlexible = version == 12
                        return (try reader.string(), reader.remaining)
                    }
                }
                let (read, left) = try result.get()
                #expect(left == 0)
                #expect(read.utf8.count > 32760)
                #expect(read.hasPrefix(String(repeating: "x", count: extra) + text))
            }
        }
    }

    @Test func nullsAndEmptiesDiffer() throws {
        for (api, version, expected) in [
            (ApiKey.fetch, 11, [0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]),
            (ApiKey.fetch, 12, [0, 1, 0, 1]),
        ] as [(ApiKey, Int16, [UInt8])] {
            var writer = writer(api, version)
            let header = try bytes(writer).count
            writer.string(nil)
            writer.string("")
            writer.array(nil as [PartitionOutcome]?, version: version)
            writer.array([] as [PartitionOutcome], version: version)
            #expect(try Array(bytes(writer).dropFirst(header)) == expected)
        }
    }
}
