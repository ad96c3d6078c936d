import Platform
import TestSupport
import Testing

@testable import LocalBroker

@Suite struct PartitionLogTests {
    @Test func givesOffsetsAndShowsWhatIsSynced() throws {
        let log = try LogBed().open()
        #expect(log.logStart == 0 && log.logEnd == 0 && log.visibleEnd == 0)
        let first = try log.append(RecordBatchBuilder(count: 3).bytes())
        #expect(first == Appended(baseOffset: 0, lastOffset: 2, logStart: 0, isDuplicate: false))
        #expect(try log.append(RecordBatchBuilder(count: 2).bytes()).baseOffset == 3)
        #expect(log.logEnd == 5 && log.visibleEnd == 0)
        #expect(try log.read(from: 0, maxBytes: 1000, atLeastOne: true) == nil)
        try log.syncNow()
        #expect(log.visibleEnd == 5)
        #expect(try log.batches().map(\.header.baseOffset) == [0, 3])
    }

    @Test func keepsBytesAndSetsOffsetAndEpochAlone() throws {
        let log = try LogBed().open()
        var builder = RecordBatchBuilder(count: 4, codec: .zstd)
        try log.append(builder.bytes())
        builder.baseOffset = 99
        var sent = builder.bytes()
        try log.append(sent)
        try log.syncNow()
        sent.replaceSubrange(0..<8, with: RecordBatchBuilder.integer(Int64(4)))
        sent.replaceSubrange(12..<16, with: [0, 0, 0, 0])
        #expect(try log.batches().last?.bytes == sent)
    }

    @Test func showsEverythingAtOnceWithoutDurability() throws {
        for durability in [Durability.interval, .never] {
            var bed = LogBed()
            bed.durability = durability
            let log = try bed.open()
            try log.append(RecordBatchBuilder(count: 3).bytes())
            #expect(log.visibleEnd == 3)
            #expect(try log.batches().count == 1)
        }
    }

    @Test func appendsAllBatchesOfARequestOrNone() throws {
        let log = try LogBed().open()
        let two = RecordBatchBuilder(count: 2).bytes() + RecordBatchBuilder(count: 3).bytes()
        #expect(try log.append(two) == Appended(baseOffset: 0, lastOffset: 4, logStart: 0, isDuplicate: false))
        var broken = two
        broken[broken.count - 1] ^= 1
        #expect(throws: AppendFault.corrupt) { try log.append(broken) }
        #expect(throws: AppendFault.corrupt) { try log.append(two + [0]) }
        #expect(throws: AppendFault.corrupt) { try log.append([]) }
        #expect(throws: AppendFault.invalidRecord) {
            try log.append(RecordBatchBuilder(count: 1).idempotent(1, sequence: 0).bytes() + two)
        }
        try log.syncNow()
        #expect(log.logEnd == 5)
        #expect(try log.batches().map(\.header.baseOffset) == [0, 2])
    }

    @Test func storesABatchSentAgainOnce() throws {
        let bed = LogBed()
        var log = try bed.open()
        let first = RecordBatchBuilder(count: 3).idempotent(9, sequence: 0).bytes()
        let second = RecordBatchBuilder(count: 2).idempotent(9, sequence: 3).bytes()
        try log.append(first)
        try log.append(second)
        let again = try log.append(first)
        #expect(again == Appended(baseOffset: 0, lastOffset: 2, logStart: 0, isDuplicate: true))
        #expect(throws: AppendFault.outOfOrderSequence) {
            try log.append(RecordBatchBuilder(count: 1).idempotent(9, sequence: 6).bytes())
        }
        try log.syncNow()
        log = try bed.open()
        #expect(try log.append(second).isDuplicate)
        #expect(try log.append(second).baseOffset == 3)
        #expect(log.logEnd == 5)
    }

    @Test func remembersProducersBeyondSealedSegments() throws {
        var bed = LogBed()
        bed.settings.segmentBytes = 300
        let log = try bed.open()
        let last = RecordBatchBuilder(count: 1).idempotent(5, sequence: 7).bytes()
        for index in 0..<8 {
            try log.append(RecordBatchBuilder(count: 1).idempotent(5, sequence: Int32(index)).bytes())
        }
        for _ in 0..<20 { try log.append(RecordBatchBuilder(count: 1).bytes()) }
        try log.syncNow()
        log.close()
        let opened = try bed.open()
        let again = try opened.append(last)
        #expect(again.isDuplicate && again.baseOffset == 7)
    }

    @Test func rollsBySizeAndAge() throws {
        var bed = LogBed()
        let batch = RecordBatchBuilder(count: 1).bytes()
        bed.settings.segmentBytes = Int64(batch.count * 3)
        let log = try bed.open()
        for _ in 0..<7 { try log.append(batch, now: 5000) }
        #expect(log.segments.map(\.baseOffset) == [0, 3, 6])
        log.settings.segmentMilliseconds = 1000
        try log.append(batch, now: 5999)
        #expect(log.segments.count == 3)
        try log.append(batch, now: 6000)
        #expect(log.segments.map(\.baseOffset) == [0, 3, 6, 8])
        // A batch that is larger than a segment gets one of its own.
        try log.append(RecordBatchBuilder(count: 1, valueBytes: 2000).bytes(), now: 6000)
        #expect(log.segments.map(\.baseOffset) == [0, 3, 6, 8, 9])
        try log.syncNow()
        #expect(try log.batches().count == 10)
        log.close()
        let opened = try bed.open()
        #expect(opened.segments.map(\.baseOffset) == [0, 3, 6, 8, 9])
        #expect(try opened.batches().count == 10)
    }

    @Test func refusesWhatIsOutOfRange() throws {
        let log = try LogBed().open()
        try log.append(RecordBatchBuilder(count: 3).bytes())
        #expect(try log.read(from: 3, maxBytes: 10, atLeastOne: true) == nil)
        #expect(throws: ReadFault.outOfRange) { try log.read(from: 4, maxBytes: 10, atLeastOne: true) }
        #expect(throws: ReadFault.outOfRange) { try log.read(from: -1, maxBytes: 10, atLeastOne: true) }
        try log.syncNow()
        _ = try log.deleteRecords(before: 2)
        #expect(throws: ReadFault.outOfRange) { try log.read(from: 1, maxBytes: 10, atLeastOne: true) }
        #expect(try log.read(from: 2, maxBytes: 1, atLeastOne: true) != nil)
        #expect(try log.read(from: 2, maxBytes: 1, atLeastOne: false) == nil)
    }

    /// Every offset and many limits, against the plain list of batches.
    @Test(arguments: TestDice.seeds(5)) func readsAsAListWould(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        var bed = LogBed()
        bed.settings.segmentBytes = 40_000
        let log = try bed.open()
        var expected: [(base: Int64, last: Int64, bytes: Int)] = []
        for _ in 0..<250 {
            let large = dice.chance(10)
            let bytes = RecordBatchBuilder(
                count: Int.random(in: 1...5, using: &dice),
                valueBytes: Int.random(in: 0...(large ? 9000 : 300), using: &dice)
            ).bytes()
            let appended = try log.append(bytes)
            expected.append((appended.baseOffset, appended.lastOffset, bytes.count))
            if dice.chance(20) { try log.syncNow() }
        }
        #expect(log.segments.count > 3)
        let visible = log.visibleEnd
        for offset in 0..<visible {
            let maxBytes = dice.chance(30) ? dice.chance(50) ? 0 : Int.max : Int.random(in: 1...30_000, using: &dice)
            let atLeastOne = dice.chance(50)
            let slice = try log.read(from: offset, maxBytes: maxBytes, atLeastOne: atLeastOne)
            let segment = log.segments[log.segmentIndex(for: offset)]
            let rest = expected.filter {
                $0.last >= offset && $0.last < min(segment.endOffset, visible)
            }
            var count = 0
            for batch in rest {
                guard count + batch.bytes <= maxBytes || (count == 0 && atLeastOne) else { break }
                count += batch.bytes
            }
            #expect(slice?.count ?? 0 == count, "offset \(offset), \(maxBytes) bytes, seed \(seed)")
            if let slice {
                let head = try slice.file.read(count: RecordBatchHeader.bytes, at: Int64(slice.position))
                let base = unsafe head.withUnsafeBytes { unsafe RecordBatchHeader($0).baseOffset }
                #expect(base == rest.first?.base, "offset \(offset), seed \(seed)")
            }
        }
    }

    @Test func syncsByItsDurability() throws {
        var bed = LogBed()
        bed.durability = .interval
        var log = try bed.open()
        let batch = RecordBatchBuilder(count: 1).bytes()
        try log.append(batch)
        let first = try #require(log.takeUnsynced(now: 5000))
        try log.append(batch)
        #expect(log.takeUnsynced(now: 9000) == nil, "one at a time")
        log.synced(first)
        #expect(log.takeUnsynced(now: 5999) == nil)
        #expect(log.nextSync == 6000)
        #expect(log.takeUnsynced(now: 6000) != nil)

        bed = LogBed()
        bed.durability = .never
        bed.settings.segmentBytes = Int64(batch.count)
        log = try bed.open()
        try log.syncNow()
        try log.append(batch)
        #expect(log.takeUnsynced(now: 9000) == nil)
        try log.append(batch)
        #expect(log.takeUnsynced(now: 9000)?.files.map(\.path) == [bed.segment(0)], "a sealed segment")
        #expect(log.nextSync == nil)
    }

    @Test func goesOfflineWhenASyncFails() throws {
        let bed = LogBed()
        let log = try bed.open()
        try log.append(RecordBatchBuilder(count: 1).bytes())
        try log.syncNow()
        try log.append(RecordBatchBuilder(count: 1).bytes())
        let ticket = try #require(log.takeUnsynced(now: 0))
        log.syncFailed(ticket, SystemError(code: 5, call: "fdatasync", subject: "x"))
        #expect(log.isOffline)
        #expect(throws: AppendFault.storage) { try log.append(RecordBatchBuilder(count: 1).bytes()) }
        #expect(throws: ReadFault.storage) { try log.read(from: 0, maxBytes: 1, atLeastOne: true) }
        #expect(throws: ReadFault.storage) { try log.offset(at: 0) }
        #expect(log.takeUnsynced(now: 9_999_999) == nil)
        #expect(bed.lines.contains("partition is offline"))
    }

    @Test func removesItsFilesAndNoOthers() throws {
        let bed = LogBed()
        let log = try bed.open()
        try log.append(RecordBatchBuilder(count: 1).bytes())
        try log.destroy()
        #expect(try SystemFiles().list(bed.folder.path).isEmpty)
        #expect(throws: AppendFault.storage) { try log.append(RecordBatchBuilder(count: 1).bytes()) }

        let kept = try bed.open()
        try bed.overwrite(bed.path("notes.txt"), [1])
        #expect(throws: SystemError.self) { try kept.destroy() }
        #expect(try SystemFiles().list(bed.directory) == ["notes.txt"])
    }
}
