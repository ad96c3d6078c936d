import Platform
import TestSupport
import Testing

@testable import LocalBroker

/// The power goes at any point, again and again: nothing that was reported synced is lost, what comes back is a prefix of
/// what was appended, and producers that send again what was not acknowledged end up with each batch stored once.
@Suite struct PowerCutTests {
    /// An idempotent producer as a client has it: it keeps what was not acknowledged, and sends it again.
    private struct Producer {
        let id: Int64
        var nextSequence: Int32 = 0
        var unacknowledged: [(lastOffset: Int64, bytes: [UInt8])] = []
    }

    /// What a log should hold, besides the log.
    private struct Model {
        var bed: LogBed
        var log: PartitionLog
        var producers = (1...3).map { Producer(id: $0) }
        /// By base offset, with the offset and epoch that the log sets.
        var appended: [Int64: [UInt8]] = [:]
        var start: Int64 = 0
        var now: Int64 = 1_000_000

        mutating func append(_ dice: inout TestDice) throws {
            let index = Int.random(in: 0..<producers.count, using: &dice)
            guard producers[index].unacknowledged.count < 5 else { return }
            let count = Int.random(in: 1...4, using: &dice)
            let bytes = RecordBatchBuilder(count: count, valueBytes: Int.random(in: 0...1500, using: &dice))
                .idempotent(producers[index].id, sequence: producers[index].nextSequence).bytes()
            producers[index].nextSequence += Int32(count)
            try send(bytes, producer: index)
        }

        mutating func send(_ bytes: [UInt8], producer index: Int) throws {
            let place = try log.append(bytes, now: now)
            producers[index].unacknowledged.append((place.lastOffset, bytes))
            if !place.isDuplicate {
                appended[place.baseOffset] =
                    RecordBatchBuilder.integer(place.baseOffset) + bytes[8..<12] + [0, 0, 0, 0] + bytes[16...]
            }
        }

        /// Gives the acknowledgements that may be given.
        mutating func acknowledge() {
            let visible = log.visibleEnd
            for index in producers.indices { producers[index].unacknowledged.removeAll { $0.lastOffset < visible } }
        }

        mutating func step(_ dice: inout TestDice) throws {
            now += 10
            switch Int.random(in: 0..<100, using: &dice) {
            case 0..<60: try append(&dice)
            case 60..<75:
                try log.syncNow(now: now)
                acknowledge()
            case 75..<85:
                // The disk is done, or half done, and the loop never hears of it.
                guard let ticket = log.takeUnsynced(now: now) else { return }
                for file in ticket.files.prefix(Int.random(in: 0...ticket.files.count, using: &dice)) {
                    try file.sync()
                }
                if dice.chance(50) { log.syncFailed(ticket, SystemError(code: 5, call: "fdatasync")) }
            case 85..<90:
                log.settings.retentionBytes = 6000
                log.enforceRetention(now: now)
                start = max(start, log.logStart)
                log.settings.retentionBytes = nil
            case 90..<94:
                guard !log.isOffline, log.visibleEnd > 0 else { return }
                start = max(start, try log.deleteRecords(before: Int64.random(in: 0...log.visibleEnd, using: &dice)))
            default:
                guard !log.isOffline else { return }
                try log.roll()
            }
        }
    }

    @Test(arguments: TestDice.seeds(40)) func losesNothingThatWasSynced(seed: UInt64) throws {
        var dice = TestDice(seed: seed)
        let outside = TemporaryFolder()
        let origin = TemporaryFolder()
        var bed = LogBed(origin, files: try ForgetfulFiles(root: origin.path))
        bed.settings.segmentBytes = 5000
        var model = Model(bed: bed, log: try bed.open())
        for cut in 0..<5 {
            for _ in 0..<Int.random(in: 0...60, using: &dice) where !model.log.isOffline { try model.step(&dice) }
            if dice.chance(40) { try kill(&model, "seed \(seed), cut \(cut)") }
            let acknowledged = model.log.visibleEnd
            try cutPower(&model, into: outside.path + "/\(cut)", &dice)
            let what: Comment = "seed \(seed), cut \(cut)"
            try #require(!model.log.isOffline, what)
            #expect(model.log.logEnd >= acknowledged, what)
            #expect(model.log.logStart >= model.start && model.log.logStart <= model.log.logEnd, what)
            try check(&model, what)
            try sendAgain(&model, what)
        }
        try checkSequences(model.log, "seed \(seed)")
    }

    /// The process dies and is started again; nothing is lost, and all of it is on the disk before it is shown.
    private func kill(_ model: inout Model, _ what: Comment) throws {
        let end = model.log.logEnd
        model.log = try model.bed.open()
        try #require(!model.log.isOffline, what)
        #expect(model.log.logEnd == end && model.log.visibleEnd == end, what)
        model.acknowledge()
    }

    private func cutPower(_ model: inout Model, into path: String, _ dice: inout TestDice) throws {
        let files = try #require(model.bed.files as? ForgetfulFiles)
        var thrown: TestDice? = dice.chance(25) ? nil : dice
        try files.powerCut(into: path, dice: &thrown)
        _ = dice.next()
        var bed = LogBed(model.bed.folder, files: try ForgetfulFiles(root: path), at: path + "/topic-0")
        bed.settings = model.bed.settings
        bed.durability = model.bed.durability
        model.bed = bed
        model.log = try bed.open()
    }

    /// What came back is what was appended, without a gap.
    private func check(_ model: inout Model, _ what: Comment) throws {
        var next: Int64?
        for batch in try model.log.batches() {
            #expect(next == nil || batch.header.baseOffset == next, what)
            #expect(model.appended[batch.header.baseOffset] == batch.bytes, what)
            next = batch.header.lastOffset + 1
        }
        #expect(next ?? model.log.logEnd == model.log.logEnd, what)
        let end = model.log.logEnd
        model.appended = model.appended.filter { $0.key < end }
    }

    private func sendAgain(_ model: inout Model, _ what: Comment) throws {
        for index in model.producers.indices {
            let unacknowledged = model.producers[index].unacknowledged
            model.producers[index].unacknowledged = []
            for batch in unacknowledged {
                do { try model.send(batch.bytes, producer: index) } catch { Issue.record("\(error), \(what)") }
            }
        }
        try model.log.syncNow()
        model.acknowledge()
    }

    private func checkSequences(_ log: PartitionLog, _ what: Comment) throws {
        var next: [Int64: Int32] = [:]
        for batch in try log.batches() {
            let expected = next[batch.header.producerID] ?? batch.header.baseSequence
            #expect(batch.header.baseSequence == expected, what)
            next[batch.header.producerID] = batch.header.lastSequence + 1
        }
    }

    /// Without durability the end may be lost, but what is left is whole and in order, and the log opens.
    @Test(arguments: TestDice.seeds(15), [Durability.interval, .never])
    func opensWithoutDurability(seed: UInt64, durability: Durability) throws {
        var dice = TestDice(seed: seed)
        let outside = TemporaryFolder()
        let origin = TemporaryFolder()
        var bed = LogBed(origin, files: try ForgetfulFiles(root: origin.path))
        bed.settings.segmentBytes = 5000
        bed.durability = durability
        var model = Model(bed: bed, log: try bed.open())
        for cut in 0..<4 {
            for _ in 0..<Int.random(in: 0...60, using: &dice) where !model.log.isOffline {
                try model.step(&dice)
                model.acknowledge()
            }
            try cutPower(&model, into: outside.path + "/\(cut)", &dice)
            let what: Comment = "seed \(seed), cut \(cut)"
            try #require(!model.log.isOffline, what)
            #expect(model.log.logStart >= model.start, what)
            try check(&model, what)
            // Its producers' acknowledged batches may be gone, so they begin again under new ids.
            let highest = model.producers.map(\.id).max() ?? 0
            model.producers = (1...3).map { Producer(id: highest + $0) }
        }
    }
}
