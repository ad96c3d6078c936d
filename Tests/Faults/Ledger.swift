import Kafka
import Synchronization

/// What a producer and the members of a group were told, from several tasks, and what of it contradicts the promises.
final class Ledger: Sendable {
    private struct State {
        /// By partition, the numbers that are acknowledged; they are sent in order, so a count says which.
        var acknowledged: [Partition: Int] = [:]
        var total = 0
        var waiting: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var isProducing = true
        var isAllSent = false
        var consumed: [Partition: Set<Int64>] = [:]
        var committed: [Partition: Offset] = [:]
        var faults: [String] = []
    }

    private let state = Mutex(State())

    var isProducing: Bool { state.withLock { $0.isProducing } }
    var faults: [String] { state.withLock { $0.faults } }

    func stopProducing() { state.withLock { $0.isProducing = false } }
    func everythingIsSent() { state.withLock { $0.isAllSent = true } }
    func acknowledgedCount(_ partition: Partition) -> Int { state.withLock { $0.acknowledged[partition] ?? 0 } }

    /// Something went wrong: nobody waits for the rest.
    func abandon() {
        let waiting = state.withLock { state in
            state.isProducing = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for one in waiting { one.continuation.resume() }
    }

    func acknowledged(_ number: Int, _ delivery: Delivery) {
        let due = state.withLock { state in
            let expected = state.acknowledged[delivery.partition, default: 0]
            if number != expected { state.faults.append("acknowledged \(number) after \(expected - 1)") }
            state.acknowledged[delivery.partition] = number + 1
            state.total += 1
            let due = state.waiting.filter { $0.count <= state.total }
            state.waiting.removeAll { $0.count <= state.total }
            return due
        }
        for one in due { one.continuation.resume() }
    }

    /// Returns when so many records are acknowledged in all.
    func waitForAcknowledged(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.total >= count || !state.isProducing { return true }
                state.waiting.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    /// A record came to a member that had `previous` of this partition before, or nothing since it was assigned.
    func consumed(_ record: Record, after previous: Offset?) {
        let number = Int64(String(decoding: record.valueBytes ?? [], as: UTF8.self)) ?? -1
        state.withLock { state in
            // The log has the numbers from 0 on, each once: so each is at its own offset.
            if number != record.offset.rawValue {
                state.faults.append("\(record.topicPartition): \(number) at \(record.offset)")
            }
            if let previous, record.offset != previous.next {
                state.faults.append("\(record.topicPartition): \(record.offset) after \(previous)")
            }
            if previous == nil, let committed = state.committed[record.partition], record.offset < committed {
                state.faults.append("\(record.topicPartition): begun at \(record.offset), committed was \(committed)")
            }
            state.consumed[record.partition, default: []].insert(record.offset.rawValue)
        }
    }

    func committed(_ offsets: [PartitionOffset]) {
        state.withLock { state in
            for offset in offsets {
                state.committed[offset.place.partition] = max(
                    offset.offset, state.committed[offset.place.partition] ?? offset.offset)
            }
        }
    }

    /// Whether everything was sent, and every acknowledged record has been read.
    var isAllConsumed: Bool {
        state.withLock { state in
            guard state.isAllSent else { return !state.isProducing && state.acknowledged.isEmpty }
            return state.acknowledged.allSatisfy { partition, count in state.consumed[partition]?.count == count }
        }
    }
}
