import TestSupport
import Testing

@testable import LocalBroker

@Suite struct TimersTests {
    @Test func nothingIsDueBeforeItsTime() {
        var timers = Timers<String>()
        timers.add("b", at: 20)
        timers.add("a", at: 10)
        #expect(timers.next == 10)
        let popped = [9, 10, 10, .max, .max].map { timers.popDue(now: $0) }
        #expect(popped == [nil, "a", nil, "b", nil])
        #expect(timers.count == 0 && timers.next == nil)
    }

    /// Against a list that is sorted at each look.
    @Test(arguments: TestDice.seeds(4)) func comesInTheOrderOfTime(seed: UInt64) {
        var random = TestDice(seed: seed)
        var timers = Timers<Int>()
        var expected: [(deadline: Int64, item: Int)] = []
        for item in 0..<3_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                let deadline = Int64.random(in: -50...50, using: &random)
                timers.add(item, at: deadline)
                expected.append((deadline, item))
            case 6..<9:
                let now = Int64.random(in: -50...50, using: &random)
                let earliest = expected.map(\.deadline).min()
                guard let popped = timers.popDue(now: now) else {
                    #expect(earliest ?? .max > now, "seed \(seed)")
                    continue
                }
                // Of equals any may be first.
                let index = expected.firstIndex { $0.item == popped }
                #expect(index.map { expected[$0].deadline } == earliest, "seed \(seed)")
                if let index { expected.remove(at: index) }
            default:
                guard random.chance(10) else { continue }
                timers.keep { !$0.isMultiple(of: 3) }
                expected.removeAll { $0.item.isMultiple(of: 3) }
            }
            #expect(timers.next == expected.map(\.deadline).min(), "seed \(seed)")
            #expect(timers.count == expected.count, "seed \(seed)")
        }
    }
}

@Suite struct QueueTests {
    @Test(arguments: TestDice.seeds(4)) func firstInFirstOut(seed: UInt64) {
        var random = TestDice(seed: seed)
        var queue = Queue<Int>()
        var expected: [Int] = []
        for item in 0..<5_000 {
            // Phases of growing and of shrinking, so that it is empty at times and long at others.
            if random.chance(item / 500 % 2 == 0 ? 70 : 30) {
                queue.append(item)
                expected.append(item)
            } else if !expected.isEmpty {
                queue.removeFirst()
                expected.removeFirst()
            }
            #expect(queue.first == expected.first, "seed \(seed)")
            #expect(queue.count == expected.count && queue.isEmpty == expected.isEmpty, "seed \(seed)")
        }
    }
}
