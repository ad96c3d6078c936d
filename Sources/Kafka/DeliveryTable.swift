/// Who waits for which delivery.
///
/// A submission, one record or a batch, has a slot; librdkafka carries slot and index of every record through its
/// queues as a plain number. No object is retained by C: whatever happens to the asking task, each number comes back
/// exactly once, delivered, failed or purged, and finds its slot. A dictionary by sequence number was rejected: it
/// hashes twice a record where a slot is an index.
///
/// A slot is counted down by each of its records and by the submitter itself, so a report that comes while the
/// submitter still hands over the rest cannot end the submission, and the client is not destroyed under it.
struct DeliveryTable {
    typealias Outcome = DeliveryReport.Outcome

    /// A submission that has all its verdicts, ready to be told outside the lock.
    struct Finished {
        let outcomes: [Outcome]
        let tell: @Sendable ([Outcome], KafkaFault?) -> Void
    }

    private struct Slot {
        var outcomes: [Outcome]
        /// Verdicts to come, and one for the submitter.
        var open: Int
        var tell: (@Sendable ([Outcome], KafkaFault?) -> Void)?
    }

    private var slots: [Slot] = []
    private var free: [Int] = []
    private(set) var isClosing = false
    var fatal: KafkaFault?

    /// Whether nothing is under way.
    var isEmpty: Bool { free.count == slots.count }

    /// From now on nothing new is accepted.
    mutating func close() { isClosing = true }

    /// Opens a slot for `count` records; nil when the producer closes.
    mutating func open(_ count: Int, tell: @escaping @Sendable ([Outcome], KafkaFault?) -> Void) -> Int? {
        guard !isClosing else { return nil }
        let slot = Slot(outcomes: Array(repeating: Outcome(), count: count), open: count + 1, tell: tell)
        if let reused = free.popLast() {
            slots[reused] = slot
            return reused
        }
        slots.append(slot)
        return slots.count - 1
    }

    /// The number that a record carries through librdkafka.
    static func number(slot: Int, index: Int) -> UInt { UInt(slot) << 32 | UInt(index) }

    /// Notes what became of the record of that number.
    mutating func resolve(_ number: UInt, _ outcome: Outcome) -> Finished? {
        let slot = Int(number >> 32)
        slots[slot].outcomes[Int(number & 0xffff_ffff)] = outcome
        return countDown(slot)
    }

    /// The submitter is done: `refused` were not taken over by librdkafka.
    mutating func submitted(_ slot: Int, refused: [(index: Int, code: Int32)]) -> Finished? {
        for (index, code) in refused {
            slots[slot].outcomes[index].code = code
            slots[slot].open -= 1
        }
        return countDown(slot)
    }

    private mutating func countDown(_ slot: Int) -> Finished? {
        slots[slot].open -= 1
        guard slots[slot].open == 0, let tell = slots[slot].tell.take() else { return nil }
        let finished = Finished(outcomes: slots[slot].outcomes, tell: tell)
        slots[slot].outcomes = []
        free.append(slot)
        return finished
    }
}
