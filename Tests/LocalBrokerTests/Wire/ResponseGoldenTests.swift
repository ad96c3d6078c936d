import Testing

@testable import LocalBroker

/// Responses are written to the byte as kafka-python writes the same values.
@Suite struct ResponseGoldenTests {
    @Test(arguments: GoldenVector.responses)
    func isWrittenAsOthersWriteIt(_ vector: GoldenVector) throws {
        let header = RequestHeader(
            api: vector.api, version: vector.version, correlationID: 0x0102_0304, isTooNew: vector.variant == "too-new")
        let response = try #require(vector.expectedResponse(to: header))
        let frame = try #require(response.frame(answering: header, reusing: [1, 2, 3]))
        #expect(Self.joined(frame) == vector.bytes)
        #expect(frame.splices.isEmpty == (vector.api != .fetch))
    }

    /// Version 1 of OffsetFetch has no place for an error of the whole group.
    @Test func anErrorOfTheGroupGoesToItsPartitions() {
        var response = OffsetFetchResponse(
            topics: [.init(name: "a", partitions: [.init(index: 0), .init(index: 1, error: .unknownTopicOrPartition)])])
        let header = RequestHeader(api: .offsetFetch, version: 1, correlationID: 0)
        response.error = .invalidGroupId
        let merged = response.frame(answering: header)
        response.error = .none
        response.topics[0].partitions[0].error = .invalidGroupId
        #expect(merged == response.frame(answering: header))
    }

    /// Before version 3 one member leaves, and its outcome is all there is room for.
    @Test func anErrorOfTheOnlyMemberIsTheAnswers() {
        let header = RequestHeader(api: .leaveGroup, version: 2, correlationID: 0)
        let members = [LeaveGroupResponse.Member(id: "m", error: .unknownMemberId)]
        let ofMember = LeaveGroupResponse(members: members).frame(answering: header)
        #expect(ofMember == LeaveGroupResponse(error: .unknownMemberId).frame(answering: header))
        let ofGroup = LeaveGroupResponse(error: .notCoordinator, members: members).frame(answering: header)
        #expect(ofGroup == LeaveGroupResponse(error: .notCoordinator).frame(answering: header))
    }

    /// What a socket would see: the payloads are 200 bytes of R and 3 of S.
    private static func joined(_ frame: WireFrame) -> [UInt8] {
        var bytes: [UInt8] = []
        var position = 0
        for splice in frame.splices {
            bytes += frame.bytes[position..<splice.position]
            bytes += [UInt8](repeating: splice.payload == 0 ? 0x52 : 0x53, count: splice.count)
            position = splice.position
        }
        return bytes + frame.bytes[position...]
    }
}
