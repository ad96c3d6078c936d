import TestSupport
import Testing

@testable import LocalBroker

@Suite struct TimeLookupTests {
    /// Every record's offset and timestamp.
    private typealias Oracle = [(offset: Int64, timestamp: Int64)]

    /// Fills a log with batches of many kinds and times that mostly grow.
    private func fill(
        _ log: PartitionLog, batches: Int, _ codecs: [TestCodec], _ dice: inout TestDice
    ) throws -> Oracle {
        var oracle: Oracle = []
        var clock: Int64 = 10_000
        for _ in 0..<batches {
            let codec = codecs.randomElement(using: &dice) ?? .none
            var builder = RecordBatchBuilder(count: 0, codec: codec)
            builder.framesSnappy = dice.chance(50)
            for _ in 0..<Int.random(in: 1...12, using: &dice) {
                clock += Int64.random(in: -15...30, using: &dice)
                let value = [UInt8](repeating: 7, count: Int.random(in: 0...400, using: &dice))
                builder.records.append(.init(key: nil, value: value, timestamp: clock))
            }
            let appended = try log.append(builder.bytes())
            for (index, record) in builder.records.enumerated() {
                oracle.append((appended.baseOffset + Int64(index), record.timestamp))
            }
            if dice.chance(30) { try log.syncNow() }
        }
        return oracle
    }

    private func check(_ log: PartitionLog, _ oracle: Oracle, _ what: String) throws {
        let visible = oracle.filter { $0.offset >= log.logStart && $0.offset < log.visibleEnd }
        let times = oracle.map(\.timestamp)
        let last = try #require(times.max())
        for time in stride(from: 9_900, through: last + 5, by: 3) {
            let expected = visible.first { $0.timestamp >= time }
            let found = try log.offset(at: time)
            #expect(found?.offset == expected?.offset, "time \(time), \(what)")
            #expect(found?.timestamp == expected?.timestamp, "time \(time), \(what)")
        }
        let latest = visible.map(\.timestamp).max()
        #expect(try log.latestTimestamp()?.timestamp == latest, "\(what)")
        #expect(try log.latestTimestamp()?.offset == visible.first { $0.timestamp == latest }?.offset, "\(what)")
    }

    @Test(arguments: TestDice.seeds(4)) func findsWhatAListWould(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        var bed = LogBed()
        bed.settings.segmentBytes = 30_000
        let log = try bed.open()
        let oracle = try fill(log, batches: 120, TestCodec.allCases, &dice)
        try check(log, oracle, "seed \(seed)")
        let start = Int64.random(in: 0..<log.visibleEnd, using: &dice)
        _ = try log.deleteRecords(before: start)
        try check(log, oracle, "seed \(seed), start \(start)")
        try check(try bed.open(), oracle, "seed \(seed), opened again")
    }

    @Test(arguments: TestCodec.allCases) func findsInsideEveryCodec(codec: TestCodec) throws {
        var dice = TestDice(seed: 1)
        let log = try LogBed().open()
        let oracle = try fill(log, batches: 30, [codec], &dice)
        try log.syncNow()
        try check(log, oracle, "\(codec)")
    }

    @Test func knowsNothingOfAnEmptyLog() throws {
        let log = try LogBed().open()
        #expect(try log.offset(at: 0) == nil)
        #expect(try log.latestTimestamp() == nil)
    }

    /// A body that cannot be read leads to the batch, never past it.
    @Test(arguments: TestCodec.allCases) func fallsBackToTheBatch(codec: TestCodec) throws {
        let log = try LogBed().open()
        try log.append(RecordBatchBuilder(count: 5, timestamp: 100).bytes())
        var broken = RecordBatchBuilder(count: 5, valueBytes: 50, timestamp: 200, codec: codec).bytes()
        for position in RecordBatchHeader.bytes..<broken.count { broken[position] = 0xff }
        RecordBatchBuilder.fixChecksum(&broken)
        try log.append(broken)
        try log.syncNow()
        #expect(try log.offset(at: 203)?.offset == 5)
        #expect(try log.offset(at: 103)?.offset == 3)
    }

    /// A few kilobytes that expand to more than is ever expanded here.
    @Test(arguments: [TestCodec.gzip, .lz4, .zstd]) func limitsWhatItExpands(codec: TestCodec) throws {
        var bed = LogBed()
        bed.settings.largestBatch = 1 << 20
        let log = try bed.open()
        var builder = RecordBatchBuilder(count: 0, codec: codec)
        let large = [UInt8](repeating: 0, count: RecordTimes.largestBody)
        builder.records = [
            .init(key: nil, value: nil, timestamp: 100), .init(key: nil, value: large, timestamp: 200),
            .init(key: nil, value: nil, timestamp: 300),
        ]
        try log.append(builder.bytes())
        try log.syncNow()
        #expect(try log.offset(at: 100)?.offset == 0)
        #expect(try log.offset(at: 300)?.offset == 0, "not reached, so the batch's first")
    }

    /// Batches whose heads promise a time that none of their records has: each has to be opened, but not all of a log.
    @Test(arguments: [TestCodec.none, .gzip]) func doesNotOpenAWholeLogOfLies(codec: TestCodec) throws {
        let log = try LogBed().open()
        var lie = RecordBatchBuilder(count: 1, valueBytes: 1_000, timestamp: 100, codec: codec).bytes()
        lie.replaceSubrange(35..<43, with: RecordBatchBuilder.integer(Int64(5_000)))
        RecordBatchBuilder.fixChecksum(&lie)
        for _ in 0..<50 { try log.append(lie) }
        try log.append(RecordBatchBuilder(count: 3, timestamp: 1_998).bytes())
        try log.syncNow()
        // With enough to spend the truth is found; with less, a batch that is too early; never one that is too late.
        #expect(try log.offset(at: 2_000)?.offset == 52)
        let budget = LookupBudget(bytes: 10_500)
        let early = try #require(try log.offset(at: 2_000, budget))
        #expect((9...11).contains(early.offset))
        #expect(budget.isSpent)
        // Of another partition of the same request, the first candidate.
        #expect(try log.offset(at: 2_000, budget)?.offset == 0)
    }

    @Test(arguments: TestDice.seeds(3)) func survivesAnyBody(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        for codec in TestCodec.allCases {
            for _ in 0..<100 {
                var batch = RecordBatchBuilder(count: 4, valueBytes: 30, codec: codec).bytes()
                for _ in 0..<Int.random(in: 1...6, using: &dice) {
                    let position = Int.random(in: RecordBatchHeader.bytes..<batch.count, using: &dice)
                    batch[position] = UInt8.random(in: 0...255, using: &dice)
                }
                let header = unsafe batch.withUnsafeBytes { unsafe RecordBatchHeader($0) }
                let body = Array(batch[RecordBatchHeader.bytes...])
                _ = RecordTimes.first(in: body, of: header, from: 0, notBefore: .max, LookupBudget())
            }
        }
    }
}
