internal import Model
internal import Synchronization

/// The records that operators want a worker to skip. Asked for every record, so that nearly always one load answers.
final class SkipList: Sendable {
    private let isEmpty = Atomic<Bool>(true)
    private let state = Mutex(State())

    private struct State {
        var wanted: [Place: OperatorSkip] = [:]
        /// Those that are dead letters now, until the board has forgotten them too.
        var done: Set<Place> = []
    }

    private struct Place: Hashable {
        let partition: TopicPartition
        let offset: Offset
    }

    /// What an operator said about this record; nil for nearly all.
    func skip(of record: Record) -> OperatorSkip? {
        guard !isEmpty.load(ordering: .relaxed) else { return nil }
        let place = Place(partition: record.topicPartition, offset: record.offset)
        return state.withLock { $0.done.contains(place) ? nil : $0.wanted[place] }
    }

    func hasAny(of items: some Sequence<WorkItem>) -> Bool {
        !isEmpty.load(ordering: .relaxed) && items.contains { skip(of: $0.record) != nil }
    }

    /// It is a dead letter now.
    func finish(_ record: Record) {
        let place = Place(partition: record.topicPartition, offset: record.offset)
        state.withLock { if $0.wanted[place] != nil { $0.done.insert(place) } }
    }

    /// Operators want these; the partitions that have a new one among them, and those that are done.
    func follow(_ skips: [OperatorSkip]) -> (news: Set<TopicPartition>, done: [OperatorSkip]) {
        state.withLock { state in
            let before = state.wanted
            state.wanted = Dictionary(skips.map { (Place(partition: $0.place, offset: $0.offset), $0) }) { $1 }
            state.done.formIntersection(state.wanted.keys)
            isEmpty.store(state.wanted.isEmpty, ordering: .relaxed)
            let news = state.wanted.filter { before[$0.key] == nil }.map(\.key.partition)
            return (Set(news), state.done.compactMap { state.wanted[$0] })
        }
    }
}
