import TestSupport
import Testing

@testable import LocalBroker

@Suite struct GroupRecordTests {
    static let records: [GroupRecord] = [
        .group(
            GroupRecord.Group(
                group: "g", generation: 7, protocolType: "consumer", protocolName: "range", leader: "a-1",
                members: [
                    GroupRecord.Member(
                        memberID: "a-1", instanceID: nil, clientID: "a", clientHost: "/127.0.0.1",
                        sessionTimeout: 10_000, rebalanceTimeout: 300_000,
                        protocols: [
                            GroupProtocol(name: "range", metadata: [0, 1, 255]),
                            GroupProtocol(name: "roundrobin", metadata: []),
                        ],
                        assignment: [9, 8]),
                    GroupRecord.Member(
                        memberID: "ü", instanceID: "", clientID: "", clientHost: "", sessionTimeout: -1,
                        rebalanceTimeout: .max, protocols: [], assignment: []),
                ])),
        .group(
            GroupRecord.Group(
                group: "", generation: .max, protocolType: nil, protocolName: nil, leader: nil, members: [])),
        .generation(group: "g", generation: 0),
        .groupRemoved(group: "g"),
        .offset(
            group: "g", partition: GroupPartition(topic: "t", partition: 3),
            offset: CommittedOffset(offset: .max, leaderEpoch: -1, metadata: "märk", committedAt: .min)),
        .offsetRemoved(group: "g", partition: GroupPartition(topic: "", partition: -1)),
    ]

    @Test(arguments: records)
    func readsWhatItWrote(record: GroupRecord) throws {
        #expect(try GroupRecord(bytes: record.bytes) == record)
    }

    @Test(arguments: records)
    func refusesEveryTruncationAndWhatFollows(record: GroupRecord) {
        let bytes = record.bytes
        for length in 0..<bytes.count {
            #expect(throws: GroupRecordFault.truncated) { try GroupRecord(bytes: bytes.prefix(length)) }
        }
        #expect(throws: GroupRecordFault.trailingBytes(1)) { try GroupRecord(bytes: bytes + [0]) }
    }

    @Test func saysWhatItCannotRead() {
        #expect(throws: GroupRecordFault.unknownVersion(2)) { try GroupRecord(bytes: [2, 1]) }
        #expect(throws: GroupRecordFault.unknownKind(9)) { try GroupRecord(bytes: [1, 9]) }
        #expect(throws: GroupRecordFault.notUTF8) { try GroupRecord(bytes: [1, 3, 0, 0, 0, 1, 0xff]) }
        #expect(throws: GroupRecordFault.negativeGeneration(-1)) {
            try GroupRecord(bytes: [1, 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
        }
        // A count of four billion members, and none there.
        var group = GroupRecord.group(
            GroupRecord.Group(
                group: "g", generation: 1, protocolType: nil, protocolName: nil, leader: nil, members: [])
        ).bytes
        group.replaceSubrange((group.count - 4)..., with: [0xff, 0xff, 0xff, 0xff])
        #expect(throws: GroupRecordFault.truncated) { try GroupRecord(bytes: group) }
    }

    /// Damaged bytes are read or refused, and a coordinator takes whatever can be read.
    @Test(arguments: TestDice.seeds(3))
    func damagedBytesDoNoHarm(seed: UInt64) {
        var random = TestDice(seed: seed)
        var coordinator = GroupCoordinator()
        var refused = 0
        for _ in 0..<5_000 {
            var bytes = Self.records[Int.random(in: 0..<Self.records.count, using: &random)].bytes
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            do { coordinator.restore(try GroupRecord(bytes: bytes)) } catch { refused += 1 }
        }
        coordinator.resume(now: 0)
        for step in 0..<50 { _ = coordinator.tick(now: Int64(step) * 60_000_000) }
        #expect(refused > 0 && refused < 5_000, "seed \(seed)")
    }
}
