import Flotilla
import Model
import TestSupport
import Testing

@Suite struct OffsetLedgerTests {
    /// The same by the slow way: a list of what was handed out, in order.
    private struct Model {
        var records: [(offset: Int64, time: Int64, bytes: Int, isFinished: Bool)] = []
        var committed: Int64?

        var prefixEnd: Int64? {
            let finished = records.prefix { $0.isFinished }
            return finished.last.map { $0.offset + 1 }
        }
        var outstanding: Int { records.count { !$0.isFinished } }
        var bytes: Int { records.reduce(0) { $0 + ($1.isFinished ? 0 : $1.bytes) } }
        var head: Int64? { records.first { !$0.isFinished }?.offset }
        var oldest: Int64? { records.first { !$0.isFinished }.flatMap { $0.time < 0 ? nil : $0.time } }
    }

    @Test func theEndOfTheLogIsFinishedWhenAllBeforeItIs() {
        var ledger = OffsetLedger()
        ledger.reached(0)
        #expect(ledger.position == nil && ledger.committable == nil)
        let ticket = ledger.admit(7, bytes: 1)
        ledger.reached(12)
        #expect(ledger.position == 7 && ledger.committable == nil)
        _ = ledger.finish(ticket)
        #expect(ledger.position == 12 && ledger.committable == 12)
        ledger.committed(12)
        ledger.reached(12)
        #expect(ledger.committable == nil)
        // What is there from the beginning may be nothing but markers.
        var empty = OffsetLedger()
        empty.reached(3)
        #expect(empty.position == 3 && empty.committable == 3)
        // The topic was made anew: where the old one ended says nothing of it.
        let first = ledger.admit(0, bytes: 1)
        _ = ledger.finish(first)
        #expect(ledger.position == 1 && ledger.committable == 1)
    }

    @Test(arguments: TestDice.seeds(20)) func itDoesWhatTheSlowWayDoes(seed: UInt64) {
        var dice = TestDice(seed: seed)
        var limits = OffsetLedger.Limits(records: 50, bytes: 1000)
        (limits.busyRecords, limits.busyBytes) = (10, 300)
        var ledger = OffsetLedger(limits)
        var model = Model()
        var next: Int64 = 7
        for step in 0..<2000 {
            switch Int.random(in: 0..<10, using: &dice) {
            case 0..<5:
                // Offsets have gaps.
                next += Int64.random(in: 1...3, using: &dice)
                let bytes = Int.random(in: 0...60, using: &dice)
                // Some brokers give no time.
                let time = Int64.random(in: -1...1000, using: &dice)
                let ticket = ledger.admit(Offset(next), at: time, bytes: bytes)
                #expect(ticket == UInt64(model.records.count))
                model.records.append((next, time, bytes, false))
            case 5..<9:
                // Recent ones mostly, some that are finished already, some that never were.
                let count = model.records.count
                let ticket = UInt64(max(0, count - Int.random(in: -1...40, using: &dice)))
                let isOpen = ticket < count && !model.records[Int(ticket)].isFinished
                #expect(ledger.finish(ticket) == isOpen, "step \(step), seed \(seed)")
                if isOpen { model.records[Int(ticket)].isFinished = true }
            case _:
                guard let offset = ledger.committable else { continue }
                ledger.committed(offset)
                model.committed = offset.rawValue
                #expect(ledger.committable == nil && ledger.finishedSinceCommit == 0)
            }
            #expect(ledger.oldest == model.oldest && ledger.position?.rawValue == model.head ?? model.prefixEnd)
            #expect(ledger.unfinished(through: 500) == model.records.count { !$0.isFinished && $0.time <= 500 })
            let expected = model.prefixEnd == model.committed ? nil : model.prefixEnd
            #expect(ledger.committable?.rawValue == expected, "step \(step), seed \(seed)")
            #expect(ledger.head?.rawValue == model.head, "step \(step), seed \(seed)")
            #expect(ledger.outstanding == model.outstanding && ledger.outstandingBytes == model.bytes)
            let span = model.records.count - model.records.prefix { $0.isFinished }.count
            #expect(ledger.isFull == (span >= 50 || model.bytes >= 1000))
            #expect(ledger.hasRoom == (span <= 25 && model.bytes <= 500))
            #expect(ledger.isBusy == (model.outstanding >= 10 || model.bytes >= 300))
        }
    }

    /// Every order of finishing five records: never is an offset committable above an unfinished one.
    @Test func everyOrderOfFinishing() {
        func visit(_ left: [UInt64], _ ledger: OffsetLedger, _ finished: Set<UInt64>) {
            let lowest = (0..<5).first { !finished.contains($0) } ?? 5
            #expect(ledger.committable == (lowest == 0 ? nil : Offset(Int64(lowest - 1) * 10 + 1)))
            for ticket in left {
                var next = ledger
                #expect(next.finish(ticket) == true)
                visit(left.filter { $0 != ticket }, next, finished.union([ticket]))
            }
        }
        var ledger = OffsetLedger()
        for number in 0..<5 { _ = ledger.admit(Offset(Int64(number) * 10), bytes: 1) }
        visit([0, 1, 2, 3, 4], ledger, [])
    }
}

@Suite struct PauseTableTests {
    private let place = TopicPartition("t", 0)

    @Test func onlyTheFirstReasonPausesAndOnlyTheLastResumes() {
        var table = PauseTable()
        #expect(table.set(.window, place) == nil, "not ours yet")
        #expect(table.assigned([place]).isEmpty)
        #expect(table.set(.window, place) == .pause)
        #expect(table.set(.breaker, place) == nil)
        #expect(table.set(.window, place) == nil)
        #expect(table.clear(.window, place) == nil)
        #expect(table.clear(.due, place) == nil)
        #expect(table.clear(.breaker, place) == .resume)
        #expect(table.clear(.breaker, place) == nil)
    }

    @Test func whatAnOperatorWantsOutlivesAnAssignment() {
        var table = PauseTable()
        #expect(table.set(.operator, place) == nil)
        #expect(table.assigned([place]) == [place])
        #expect(table.set(.due, place) == nil)
        table.revoked([place])
        #expect(table.paused.isEmpty)
        #expect(table.assigned([place]) == [place])
        #expect(table[place] == .operator)
        #expect(table.clear(.operator, place) == .resume)
    }

    /// What the consumer was told is at every moment what the table says.
    @Test(arguments: TestDice.seeds(10)) func theConsumerIsInStep(seed: UInt64) {
        var dice = TestDice(seed: seed)
        var table = PauseTable()
        var isPaused = false
        var isAssigned = false
        let reasons: [PauseReasons] = [.window, .due, .breaker, .operator]
        for _ in 0..<2000 {
            let reason = reasons[Int.random(in: 0..<4, using: &dice)]
            switch Int.random(in: 0..<6, using: &dice) {
            case 0 where isAssigned:
                table.revoked([place])
                (isAssigned, isPaused) = (false, false)
            case 0:
                isPaused = !table.assigned([place]).isEmpty
                isAssigned = true
            case 1, 2:
                if let change = table.set(reason, place) { isPaused = change == .pause }
            case _:
                if let change = table.clear(reason, place) { isPaused = change == .pause }
            }
            #expect(isPaused == (isAssigned && !table[place].isEmpty), "seed \(seed)")
        }
    }
}
