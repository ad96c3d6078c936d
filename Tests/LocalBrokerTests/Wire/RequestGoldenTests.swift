import Testing

@testable import LocalBroker

/// Requests that kafka-python encoded are read as the values it was given.
@Suite struct RequestGoldenTests {
    @Test(arguments: GoldenVector.requests)
    func isReadAsItWasWritten(_ vector: GoldenVector) throws {
        let (header, request, left) = try decode(vector.bytes)
        #expect(header.api == vector.api)
        #expect(header.version == vector.version)
        #expect(header.correlationID == 0x0102_0304)
        #expect(header.clientID == "tëster")
        #expect(!header.isTooNew)
        #expect(request == vector.expectedRequest)
        #expect(left == 0)
    }

    @Test func everyVersionIsThere() {
        for api in ApiKey.allCases {
            for version in api.versions {
                #expect(
                    GoldenVector.requests.contains { $0.api == api && $0.version == version },
                    "no request of \(api) in version \(version)"
                )
                #expect(
                    GoldenVector.responses.contains { $0.api == api && $0.version == version },
                    "no response of \(api) in version \(version)"
                )
            }
        }
    }

    @Test func aNewerApiVersionsIsAnsweredInVersion0() throws {
        // Version 9 of a layout that nobody knows yet; only the header's fixed part can be relied on.
        let frame: [UInt8] = [0, 18, 0, 9, 0, 0, 0, 5, 0, 1, 0x78, 0xFF, 0xFF]
        let (header, request, _) = try decode(frame)
        #expect(header.isTooNew)
        #expect(header.version == 0)
        #expect(header.correlationID == 5)
        #expect(header.clientID == "x")
        #expect(request == .apiVersions(nil))
        let answer = try #require(ApiVersionsResponse(answering: header).frame(answering: header))
        #expect(answer.bytes.prefix(12) == [0, 0, 0, UInt8(answer.bytes.count - 4), 0, 0, 0, 5, 0, 35, 0, 0])
    }

    @Test func whatIsNotSpokenIsAFault() {
        func reason(_ frame: [UInt8]) -> WireFault.Reason? {
            do throws(WireFault) { _ = try decode(frame) } catch { return error.reason }
            return nil
        }
        #expect(reason([0, 99, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]) == .unknownAPI(99))
        #expect(reason([0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]) == .unknownAPI(-1))
        #expect(reason([0, 1, 0, 3, 0, 0, 0, 0, 0xFF, 0xFF]) == .unsupportedVersion(.fetch, 3))
        #expect(reason([0, 1, 0, 13, 0, 0, 0, 0, 0xFF, 0xFF]) == .unsupportedVersion(.fetch, 13))
        #expect(reason([0, 18, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF]) == .unsupportedVersion(.apiVersions, -1))
    }

    @Test func onlyWhatIsDoneIsAdvertised() {
        let hidden = ApiKey.allCases.filter { !$0.isAdvertised }
        #expect(hidden == [.saslHandshake, .addPartitionsToTxn, .addOffsetsToTxn, .endTxn, .txnOffsetCommit])
    }
}
