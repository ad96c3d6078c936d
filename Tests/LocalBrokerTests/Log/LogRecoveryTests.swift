import Glibc
import Platform
import Testing

@testable import LocalBroker

@Suite struct LogRecoveryTests {
    /// Four idempotent batches, the first three synced, and how far the file is then.
    private func written(_ bed: LogBed) throws -> (synced: Int, all: [UInt8]) {
        let log = try bed.open()
        for index in 0..<3 {
            try log.append(RecordBatchBuilder(count: 2).idempotent(1, sequence: Int32(index * 2)).bytes())
        }
        try log.syncNow()
        let synced = try bed.bytes(bed.segment(0)).count
        try log.append(RecordBatchBuilder(count: 2).idempotent(1, sequence: 6).bytes())
        return (synced, try bed.bytes(bed.segment(0)))
    }

    @Test func cutsATornTailAtEveryByte() throws {
        let bed = LogBed()
        let (synced, all) = try written(bed)
        let mark = try bed.bytes(bed.path(PartitionLog.markFile))
        for count in synced...all.count {
            try bed.overwrite(bed.segment(0), Array(all.prefix(count)))
            try bed.overwrite(bed.path(PartitionLog.markFile), mark)
            let log = try bed.open()
            let isWhole = count == all.count
            #expect(!log.isOffline && log.logEnd == (isWhole ? 8 : 6), "\(count) bytes")
            #expect(log.visibleEnd == log.logEnd)
            #expect(try bed.bytes(bed.segment(0)).count == (isWhole ? all.count : synced))
            // The log goes on, with the producers that belong to what is left.
            let next = try log.append(RecordBatchBuilder(count: 2).idempotent(1, sequence: 6).bytes())
            #expect(next.isDuplicate == isWhole && next.baseOffset == 6)
        }
        #expect(bed.lines.contains("cut off a write that a crash had interrupted"))
    }

    @Test func cutsAnUnsyncedBatchWithAnyByteChanged() throws {
        let bed = LogBed()
        let (synced, all) = try written(bed)
        let mark = try bed.bytes(bed.path(PartitionLog.markFile))
        // All but the leader epoch, which means nothing here and is outside the checksum.
        for position in synced..<all.count where !(synced + 12..<synced + 16).contains(position) {
            var changed = all
            changed[position] ^= 0x40
            try bed.overwrite(bed.segment(0), changed)
            try bed.overwrite(bed.path(PartitionLog.markFile), mark)
            let log = try bed.open()
            #expect(!log.isOffline && log.logEnd == 6, "byte \(position)")
        }
    }

    @Test func cutsZerosAndGarbageBehindTheEnd() throws {
        for tail in [[UInt8](repeating: 0, count: 10_000), Array("GET / HTTP/1.1\r\n\r\n".utf8)] {
            let bed = LogBed()
            let (_, all) = try written(bed)
            try bed.overwrite(bed.segment(0), all + tail)
            let log = try bed.open()
            #expect(!log.isOffline && log.logEnd == 8)
        }
    }

    @Test func namesDamageBelowWhatWasSynced() throws {
        let bed = LogBed()
        let (synced, all) = try written(bed)
        for position in 0..<synced where position % (synced / 3) < 12 || position % (synced / 3) >= 16 {
            var changed = all
            changed[position] ^= 0x40
            try bed.overwrite(bed.segment(0), changed)
            let log = try bed.open()
            #expect(log.isOffline, "byte \(position)")
            #expect(throws: AppendFault.storage) { try log.append(RecordBatchBuilder(count: 1).bytes()) }
            #expect(throws: ReadFault.storage) { try log.read(from: 0, maxBytes: 1, atLeastOne: true) }
            let begin = position / (synced / 3) * (synced / 3)
            #expect(bed.lines.all.last?.contains("position=\(begin)  ") ?? false, "byte \(position)")
            #expect(try bed.bytes(bed.segment(0)) == changed, "nothing is touched")
        }
        let line = try #require(bed.lines.all.last)
        #expect(line.contains(bed.segment(0)) && line.contains("offset=4") && line.contains("restore the file"))
    }

    @Test func namesAFileThatIsShorterThanWhatWasSynced() throws {
        let bed = LogBed()
        let (synced, all) = try written(bed)
        for count in 0..<synced {
            try bed.overwrite(bed.segment(0), Array(all.prefix(count)))
            #expect(try bed.open().isOffline, "\(count) bytes")
        }
    }

    /// What the line says helps does.
    @Test func goesOnAfterTheAdvisedCut() throws {
        let bed = LogBed()
        var (synced, all) = try written(bed)
        all[synced - 5] ^= 1
        try bed.overwrite(bed.segment(0), all)
        #expect(try bed.open().isOffline)
        let position = synced / 3 * 2
        #expect(bed.lines.contains("truncate -s \(position) \(bed.segment(0)) && rm \(bed.path("synced"))"))
        try SystemFile(bed.segment(0), .existing).truncate(to: Int64(position))
        try SystemFiles().remove(bed.path("synced"))
        let log = try bed.open()
        #expect(!log.isOffline && log.logEnd == 4)
        try log.append(RecordBatchBuilder(count: 1).bytes())
    }

    /// A log of several sealed segments with one batch each.
    private func sealed(_ bed: inout LogBed, segments: Int = 5) throws -> PartitionLog {
        bed.settings.segmentBytes = 1
        let log = try bed.open()
        for index in 0..<segments {
            try log.append(RecordBatchBuilder(count: 2).idempotent(3, sequence: Int32(index * 2)).bytes())
        }
        try log.syncNow()
        return log
    }

    @Test func readsSealedSegmentsByTheirIndexAlone() throws {
        var bed = LogBed()
        _ = try sealed(&bed)
        var changed = try bed.bytes(bed.segment(2))
        let index = try bed.bytes(bed.path(SegmentName.index(2)))
        changed[70] ^= 1
        try bed.overwrite(bed.segment(2), changed)
        #expect(try !bed.open().isOffline)
        // With the index gone it is read, and the damage seen; without damage the index is made again.
        try SystemFiles().remove(bed.path(SegmentName.index(2)))
        #expect(try bed.open().isOffline)
        changed[70] ^= 1
        try bed.overwrite(bed.segment(2), changed)
        #expect(try !bed.open().isOffline)
        #expect(try bed.bytes(bed.path(SegmentName.index(2))).count == index.count)
    }

    @Test func doesNotTrustABadIndex() throws {
        var bed = LogBed()
        let log = try sealed(&bed)
        let batches = try log.batches().map(\.bytes)
        for base in [Int64(0), 2, 4, 6] {
            let path = bed.path(SegmentName.index(base))
            let good = try bed.bytes(path)
            for bad in [[], Array(good.prefix(good.count / 2)), good.map { $0 ^ 1 }] {
                try bed.overwrite(path, bad)
                let opened = try bed.open()
                #expect(!opened.isOffline)
                #expect(try opened.batches().map(\.bytes) == batches)
                #expect(try opened.append(RecordBatchBuilder(count: 2).idempotent(3, sequence: 4).bytes()).isDuplicate)
                #expect(try SegmentIndex(bed.bytes(path)) != nil)
            }
        }
    }

    @Test func namesASealedSegmentOfAnotherSize() throws {
        var bed = LogBed()
        _ = try sealed(&bed)
        let good = try bed.bytes(bed.segment(4))
        for bad in [Array(good.dropLast()), good + [0], []] {
            try bed.overwrite(bed.segment(4), bad)
            #expect(try bed.open().isOffline, "\(bad.count) bytes")
            #expect(bed.lines.all.last?.contains(bed.segment(4)) ?? false)
        }
        // As advised: cut there.
        try SystemFile(bed.segment(4), .existing).truncate(to: 0)
        try SystemFiles().remove(bed.path(SegmentName.index(4)))
        let log = try bed.open()
        #expect(!log.isOffline)
        #expect(try log.batches().map(\.header.baseOffset) == [0, 2, 6, 8])
        #expect(bed.lines.contains("offsets are missing"))
    }

    @Test func namesAMissingSegment() throws {
        var bed = LogBed()
        _ = try sealed(&bed)
        try SystemFiles().remove(bed.segment(8))
        #expect(try bed.open().isOffline)
        #expect(bed.lines.contains("a segment is missing"))
    }

    @Test func goesOnAfterACrashBetweenSegments() throws {
        var bed = LogBed()
        let log = try sealed(&bed)
        // A new segment's file is there, and nothing else happened.
        try bed.overwrite(bed.segment(log.logEnd), [])
        let opened = try bed.open()
        #expect(opened.logEnd == 10 && opened.segments.last?.isEmpty == true)
        #expect(try opened.append(RecordBatchBuilder(count: 1).bytes()).baseOffset == 10)
    }

    @Test func dropsSegmentsThatFollowLostBytes() throws {
        var bed = LogBed()
        bed.durability = .never
        let log = try sealed(&bed, segments: 1)
        let mark = try bed.bytes(bed.path(PartitionLog.markFile))
        try log.append(RecordBatchBuilder(count: 2).bytes())
        try log.append(RecordBatchBuilder(count: 2).bytes())
        try bed.overwrite(bed.segment(2), Array(try bed.bytes(bed.segment(2)).dropLast(3)))
        try bed.overwrite(bed.path(PartitionLog.markFile), mark)
        let opened = try bed.open()
        #expect(!opened.isOffline && opened.logEnd == 2)
        #expect(try SystemFiles().list(bed.directory).filter { $0.hasSuffix(".log") }.count == 2)
        #expect(try opened.append(RecordBatchBuilder(count: 1).bytes()).baseOffset == 2)
    }

    @Test func leavesForeignFilesAndRemovesLeftovers() throws {
        var bed = LogBed()
        _ = try sealed(&bed)
        let foreign = ["readme", "1.log", "0000000000000000000a.log", "99999999999999999999.log", "x.index"]
        for name in foreign { try bed.overwrite(bed.path(name), [1, 2, 3]) }
        try bed.overwrite(bed.path("start.tmp"), [1])
        try bed.overwrite(bed.path(SegmentName.index(77)), [1])
        let log = try bed.open()
        #expect(log.logEnd == 10)
        let names = try SystemFiles().list(bed.directory)
        for name in foreign { #expect(names.contains(name)) }
        #expect(!names.contains("start.tmp") && !names.contains(SegmentName.index(77)))
    }

    @Test func beginsAnewWhenTheEndIsBelowTheStart() throws {
        var bed = LogBed()
        bed.durability = .never
        let log = try bed.open()
        for _ in 0..<3 { try log.append(RecordBatchBuilder(count: 2).bytes()) }
        #expect(try log.deleteRecords(before: 5) == 5)
        // The power went, and of the records nothing had reached the disk.
        try bed.overwrite(bed.segment(0), [])
        let opened = try bed.open()
        #expect(!opened.isOffline && opened.logStart == 5 && opened.logEnd == 5)
        #expect(try opened.append(RecordBatchBuilder(count: 1).bytes()).baseOffset == 5)
        #expect(try bed.open().logEnd == 6)
    }

    /// A read that fails must never be taken for an absence: nothing is cut off or removed because of it.
    @Test func losesNothingToADiskThatCannotRead() throws {
        let failing = FailingFiles(SystemFiles())
        var bed = LogBed(files: failing)
        _ = try sealed(&bed)
        for call in 1... {
            failing.fail(atCall: call, code: EIO)
            let opened = try? bed.open()
            let failed = failing.heal()
            if let opened, !opened.isOffline { #expect(opened.logEnd == 10, "call \(call)") }
            #expect(try bed.open().logEnd == 10, "call \(call)")
            if !failed { break }
        }
    }
}
