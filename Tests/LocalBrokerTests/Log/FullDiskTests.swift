import Glibc
import Platform
import Testing

@testable import LocalBroker

/// Every call that a log makes fails once, one after the other; and so does it with all writes that follow.
@Suite struct FullDiskTests {
    /// A life in short, with all that a log does. Returns the batches that were acknowledged, by offset.
    private func live(_ bed: LogBed) -> (acknowledged: [Int64: Int32], sent: Set<Int32>) {
        var acknowledged: [Int64: Int32] = [:]
        var sent: Set<Int32> = []
        var waiting: [Int64: Int32] = [:]
        guard let log = try? bed.open() else { return ([:], []) }
        for step in 0..<14 {
            let sequence = Int32(step * 2)
            // Each from a producer of its own, so that none depends on another's success.
            let batch = RecordBatchBuilder(count: 2).idempotent(Int64(step), sequence: sequence).bytes()
            sent.insert(sequence)
            if let place = try? log.append(batch, now: bed.now) {
                waiting[place.baseOffset] = sequence
            } else if !log.isOffline, let place = try? log.append(batch, now: bed.now) {
                // The disk had a bad moment, and the client sent it again.
                waiting[place.baseOffset] = sequence
            }
            if step % 2 == 1, let ticket = log.takeUnsynced(now: bed.now) { answer(ticket, log) }
            let visible = log.visibleEnd
            for (offset, sequence) in waiting where offset < visible {
                acknowledged[offset] = sequence
                waiting[offset] = nil
            }
            if step == 6 { _ = try? log.deleteRecords(before: 3) }
            if step == 9 {
                log.settings.retentionBytes = 1000
                log.enforceRetention(now: bed.now)
            }
        }
        let start = log.logStart
        return (acknowledged.filter { $0.key >= start }, sent)
    }

    private func answer(_ ticket: SyncTicket, _ log: PartitionLog) {
        do throws(SystemError) {
            for file in ticket.files { try file.sync() }
            for directory in ticket.directories { try log.files.syncDirectory(directory) }
            log.synced(ticket)
        } catch {
            log.syncFailed(ticket, error)
        }
    }

    @Test(arguments: [false, true]) func losesNothingAcknowledged(staysFull: Bool) throws {
        for call in 1... {
            let failing = FailingFiles(SystemFiles())
            var bed = LogBed(files: failing)
            bed.settings.segmentBytes = 600
            failing.fail(atCall: call, stayBroken: staysFull)
            let (acknowledged, sent) = live(bed)
            let failed = failing.heal()
            let what: Comment = "call \(call), stays full: \(staysFull)"
            let log = try bed.open()
            try #require(!log.isOffline, what)
            var found: [Int64: Int32] = [:]
            for batch in try log.batches() { found[batch.header.baseOffset] = batch.header.baseSequence }
            for (offset, sequence) in acknowledged where offset >= log.logStart {
                #expect(found[offset] == sequence, what)
            }
            #expect(Set(found.values).count == found.count && sent.isSuperset(of: found.values), what)
            try log.append(RecordBatchBuilder(count: 1).bytes())
            try log.syncNow()
            #expect(log.visibleEnd == log.logEnd, what)
            if !failed { break }
        }
    }

    /// A producer has several batches under way: those behind one that the disk did not take are not out of order, they
    /// come again behind it. A producer that is new as well as one that is known.
    @Test(arguments: [0, 2] as [Int32]) func whatFollowsARefusedBatchWaitsForIt(written: Int32) throws {
        let failing = FailingFiles(SystemFiles())
        let bed = LogBed(files: failing)
        let log = try bed.open()
        func send(_ sequence: Int32, from producer: Int64 = 7) throws -> Bool {
            try log.append(RecordBatchBuilder(count: 2).idempotent(producer, sequence: sequence).bytes()).isDuplicate
        }
        for sequence in stride(from: 0, to: written, by: 2) { #expect(try !send(sequence)) }
        failing.fail(atCall: 1, stayBroken: true)
        #expect(throws: AppendFault.storage) { try send(written) }
        failing.heal()
        // There is room again before the next ones come, and another producer has written meanwhile.
        #expect(try !send(40, from: 8))
        #expect(throws: AppendFault.storage) { try send(written + 2) }
        #expect(throws: AppendFault.storage) { try send(written + 4) }
        if written > 0 { #expect(try send(0)) }
        #expect(try !send(written))
        #expect(try !send(written + 2))
        // From now on a gap is a gap.
        #expect(throws: AppendFault.outOfOrderSequence) { try send(written + 6) }
        #expect(try !send(written + 4))
        // The same of a newer epoch, which begins anew.
        func renewed(_ sequence: Int32) throws {
            try log.append(RecordBatchBuilder(count: 2).idempotent(7, epoch: 1, sequence: sequence).bytes())
        }
        failing.fail(atCall: 1, stayBroken: true)
        #expect(throws: AppendFault.storage) { try renewed(0) }
        failing.heal()
        #expect(throws: AppendFault.storage) { try renewed(2) }
        try renewed(0)
        try renewed(2)
        #expect(throws: AppendFault.outOfOrderSequence) { try renewed(6) }
    }

    @Test func aRefusedAppendLeavesNothing() throws {
        let failing = FailingFiles(SystemFiles())
        let bed = LogBed(files: failing)
        let log = try bed.open()
        let batch = RecordBatchBuilder(count: 2).idempotent(1, sequence: 0).bytes()
        failing.fail(atCall: 1)
        #expect(throws: AppendFault.storage) { try log.append(batch) }
        failing.heal()
        #expect(try bed.bytes(bed.segment(0)).isEmpty)
        #expect(!log.isOffline && log.logEnd == 0)
        #expect(bed.lines.contains("append refused"))
        #expect(try log.append(batch) == Appended(baseOffset: 0, lastOffset: 1, logStart: 0, isDuplicate: false))
    }
}
