import Glibc
import TestSupport
import Testing

@testable import LocalBroker

/// Disks that are full and disks that fail, under a whole broker.
@Suite(.inTurns) struct DiskFaultTests {
    private static let storageError: Int16 = 56
    private static let coordinatorNotAvailable: Int16 = 15

    private func bed(_ files: ControlledFiles) -> BrokerBed {
        var bed = BrokerBed()
        bed.files = files
        return bed
    }

    private func batch(_ sequence: Int32, valueBytes: Int = 1000) -> [UInt8] {
        TestBatch.bytes(BatchID(producer: 1, sequence: sequence), valueBytes: valueBytes)
    }

    /// What a full disk refuses: bytes, and names.
    private static func needsRoom(_ call: ControlledFiles.Call) -> Int32? {
        ["write", "mkdir", "rename"].contains(call.name) ? ENOSPC : nil
    }

    @Test func aFullDiskIsAnErrorUntilThereIsRoom() throws {
        let files = ControlledFiles(SystemFiles())
        let bed = bed(files)
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.createTopic("t") == 0)
            for sequence in Int32(0)..<3 { #expect(try client.produce("t", 0, batch(sequence)).error == 0) }
            files.fail(Self.needsRoom)
            for _ in 0..<3 { #expect(try client.produce("t", 0, batch(3)).error == Self.storageError) }
            #expect(try client.createTopic("u") == Self.storageError)
            #expect(try client.commitOffset("g", "t", 0, 3) == Self.coordinatorNotAvailable)
            #expect(try client.allBatches("t", 0).map(\.offset) == [0, 1, 2])
            #expect(broker.lines.contains("records not written"))
            files.heal()
            #expect(try client.produce("t", 0, batch(3)) == RawClient.Produced(error: 0, offset: 3))
            #expect(try client.createTopic("u") == 0)
            #expect(try client.commitOffset("g", "t", 0, 4) == 0)
        }
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.allBatches("t", 0).map(\.id.sequence) == [0, 1, 2, 3])
            #expect(try client.committedOffset("g", "t", 0) == 4)
            #expect(try client.metadata(nil) == ["t": 0, "u": 0])
        }
    }

    @Test func aFullDiskWhenASegmentIsFullIsNoDamage() throws {
        let files = ControlledFiles(SystemFiles())
        let bed = bed(files)
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.createTopic("t", configs: [("segment.bytes", "1048576")]) == 0)
            var sequence: Int32 = 0
            for _ in 0..<12 {
                // Full at each size, so also where the next segment has to be made.
                files.fail { ["write", "open"].contains($0.name) ? ENOSPC : nil }
                #expect(try client.produce("t", 0, batch(sequence, valueBytes: 250_000)).error == Self.storageError)
                files.heal()
                #expect(try client.produce("t", 0, batch(sequence, valueBytes: 250_000)).error == 0)
                sequence += 1
            }
        }
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.allBatches("t", 0).map(\.id.sequence) == Array(0..<12))
        }
    }

    @Test func aSyncThatFailsTakesOnePartitionOffline() throws {
        let files = ControlledFiles(SystemFiles())
        let bed = bed(files)
        try bed.run { broker in
            let client = try broker.client()
            for topic in ["good", "bad"] {
                #expect(try client.createTopic(topic) == 0)
                #expect(try client.produce(topic, 0, batch(0)).error == 0)
            }
            files.fail { $0.name == "sync" && $0.path.contains("/bad/") ? EIO : nil }
            #expect(try client.produce("bad", 0, batch(1)).error == Self.storageError)
            #expect(broker.lines.all.filter { $0.contains("partition is offline") }.count == 1)
            files.heal()
            // A later sync would say that all is well, and lie.
            #expect(try client.produce("bad", 0, batch(1)).error == Self.storageError)
            #expect(try client.fetch("bad", [(0, 0)]).first?.error == Self.storageError)
            #expect(try client.produce("good", 0, batch(1)) == RawClient.Produced(error: 0, offset: 1))
        }
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.produce("bad", 0, batch(0)) == RawClient.Produced(error: 0, offset: 0))
            #expect(try client.produce("bad", 0, batch(1)) == RawClient.Produced(error: 0, offset: 1))
            #expect(try client.allBatches("bad", 0).map(\.id.sequence) == [0, 1])
        }
    }

    @Test func aJournalThatFailsPromisesNothingMore() throws {
        let files = ControlledFiles(SystemFiles())
        let bed = bed(files)
        try bed.run { broker in
            let client = try broker.client()
            #expect(try client.createTopic("t") == 0)
            #expect(try client.commitOffset("g", "t", 0, 1) == 0)
            files.fail { $0.name == "sync" && $0.path.hasSuffix("/journal") ? EIO : nil }
            #expect(try client.commitOffset("g", "t", 0, 2) == Self.coordinatorNotAvailable)
            #expect(broker.lines.all.filter { $0.contains("the journal takes nothing any more") }.count == 1)
            #expect(try client.createTopic("u") == Self.storageError)
            // Records and reading do not need it.
            #expect(try client.produce("t", 0, batch(0)).error == 0)
            #expect(try client.metadata(["t"]) == ["t": 0])
        }
        files.heal()
        try bed.run { broker in
            let client = try broker.client()
            #expect(try [1, 2].contains(client.committedOffset("g", "t", 0)))
        }
    }

    @Test func whoWaitsForAJournalThatFailsIsNotLeftAlone() throws {
        let files = ControlledFiles(SystemFiles())
        try bed(files).run { broker in
            let client = try broker.client()
            // Whatever a start writes is on the disk with this.
            #expect(try client.createTopic("s") == 0)
            files.fail { $0.name == "sync" && $0.path.hasSuffix("/journal") ? EIO : nil }
            // Neither yes nor no would be true.
            #expect(throws: RawClientFault.closed) { try client.createTopic("t") }
            #expect(try broker.client().createTopic("u") == Self.storageError)
        }
    }
}
