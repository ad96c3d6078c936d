import Platform
import Testing

@testable import LocalBroker

@Suite struct RetentionTests {
    /// A log with one batch of one record a segment, timestamps 1000, 2000, …
    private func log(_ bed: inout LogBed, segments: Int) throws -> PartitionLog {
        bed.settings.segmentBytes = 1
        let log = try bed.open()
        for index in 1...segments {
            try log.append(RecordBatchBuilder(count: 1, timestamp: Int64(index) * 1000).bytes(), now: 500_000)
        }
        try log.syncNow()
        return log
    }

    @Test func removesWhatIsTooOld() throws {
        var bed = LogBed()
        let log = try log(&bed, segments: 5)
        log.settings.retentionMilliseconds = 10_000
        log.enforceRetention(now: 11_000)
        #expect(log.logStart == 0, "exactly as old is not older")
        log.enforceRetention(now: 12_001)
        #expect(log.logStart == 2)
        #expect(try log.batches().map(\.header.baseOffset) == [2, 3, 4])
        let names = try SystemFiles().list(bed.directory)
        #expect(!names.contains(SegmentName.log(1)) && !names.contains(SegmentName.index(1)))
        #expect(try bed.open().logStart == 2)
    }

    @Test func removesEverythingThatIsTooOldAndGoesOn() throws {
        var bed = LogBed()
        let log = try log(&bed, segments: 3)
        log.settings.retentionMilliseconds = 10_000
        log.enforceRetention(now: 100_000)
        #expect(log.logStart == 3 && log.logEnd == 3)
        try log.append(RecordBatchBuilder(count: 2).bytes())
        try log.syncNow()
        let opened = try bed.open()
        #expect(opened.logStart == 3 && opened.logEnd == 5)
        #expect(try opened.batches().map(\.header.baseOffset) == [3])
    }

    @Test func removesTheOldestBeyondTheSize() throws {
        var bed = LogBed()
        let log = try log(&bed, segments: 6)
        let each = log.segments[0].size
        log.settings.retentionBytes = each * 3 + 1
        log.enforceRetention(now: 0)
        #expect(log.logStart == 2, "what is left is never less than the limit")
        log.settings.retentionBytes = 0
        log.enforceRetention(now: 0)
        #expect(log.logStart == 5, "the segment that grows stays")
    }

    @Test func judgesRecordsWithoutATimeByTheirArrival() throws {
        var bed = LogBed()
        bed.settings.segmentBytes = 1
        let log = try bed.open()
        for _ in 0..<2 { try log.append(RecordBatchBuilder(count: 1, timestamp: -1).bytes(), now: 50_000) }
        try log.syncNow()
        log.settings.retentionMilliseconds = 1000
        log.enforceRetention(now: 51_000)
        #expect(log.logStart == 0)
        log.enforceRetention(now: 51_001)
        try log.syncNow()
        log.enforceRetention(now: 51_001)
        #expect(log.logStart == 2)
    }

    @Test func keepsWhatIsNotSynced() throws {
        var bed = LogBed()
        let log = try log(&bed, segments: 2)
        try log.append(RecordBatchBuilder(count: 1, timestamp: 1000).bytes(), now: 500_000)
        try log.append(RecordBatchBuilder(count: 1, timestamp: 1000).bytes(), now: 500_000)
        log.settings.retentionMilliseconds = 1
        log.enforceRetention(now: 1_000_000)
        #expect(log.logStart == 2)
        try log.syncNow()
        log.enforceRetention(now: 1_000_000)
        #expect(log.logStart == 4)
    }

    @Test func sealsByAge() throws {
        var bed = LogBed()
        let log = try log(&bed, segments: 1)
        log.settings.segmentMilliseconds = 100
        log.enforceRetention(now: 500_099)
        #expect(log.segments.count == 1)
        log.enforceRetention(now: 500_100)
        #expect(log.segments.count == 2)
        log.enforceRetention(now: 900_000)
        #expect(log.segments.count == 2, "an empty one is not sealed")
    }

    @Test func deletesRecordsUpToAnOffset() throws {
        var bed = LogBed()
        bed.settings.segmentBytes = 400
        let log = try bed.open()
        for _ in 0..<20 { try log.append(RecordBatchBuilder(count: 3).bytes()) }
        try log.syncNow()
        try log.append(RecordBatchBuilder(count: 3).bytes())
        #expect(throws: ReadFault.outOfRange) { try log.deleteRecords(before: 61) }
        #expect(throws: ReadFault.outOfRange) { try log.deleteRecords(before: -2) }
        #expect(try log.deleteRecords(before: 31) == 31)
        #expect(try log.deleteRecords(before: 5) == 31)
        #expect(try log.batches().first?.header.baseOffset == 30, "the batch that holds it is given whole")
        #expect(try bed.open().logStart == 31)
        #expect(try log.deleteRecords(before: -1) == 60)
        let opened = try bed.open()
        #expect(opened.logStart == 60 && opened.logEnd == 63)
    }

    @Test func removesLeftoversBelowTheStart() throws {
        var bed = LogBed()
        let log = try log(&bed, segments: 4)
        let old = try [0, 1, 2].map { try bed.bytes(bed.segment(Int64($0))) }
        _ = try log.deleteRecords(before: 3)
        // As if the removals had been forgotten, though not all of them.
        try bed.overwrite(bed.segment(0), old[0])
        try bed.overwrite(bed.segment(2), old[2])
        let opened = try bed.open()
        #expect(!opened.isOffline)
        #expect(opened.logStart == 3)
        #expect(try SystemFiles().list(bed.directory).filter { $0.hasSuffix(".log") } == [SegmentName.log(3)])
    }
}
