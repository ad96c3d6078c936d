internal import Flotilla
internal import Kafka
internal import Model
package import Platform

/// A record that was read last of its partition, as far as it is needed to know it again.
package struct LastRecord: Sendable, Hashable {
    /// Which dead letter it was; nil where there are none.
    package let id: UUIDValue?
    package let at: Timestamp
}

extension LastRecord {
    init(_ record: Record, _ family: TopicFamily?) {
        id = family.map { DeadLetter(record, of: $0).id }
        at = DeadLetter.written(record)
    }
}

/// How far each partition is read, and whether it is still the one that was read.
///
/// A topic that was deleted and made anew has other records at the same places, and whoever goes on in it where the old
/// one was left leaves out what comes before. So reading begins with the record that was the last: when that is another
/// one, or there is none although there was, the partition is read from its beginning.
struct ReadingPlaces {
    /// Up to where the index has taken in each.
    private(set) var positions: [TopicPartition: Offset]
    private var lasts: [TopicPartition: LastRecord]
    /// Those that begin with the record before their position.
    private var unproven: Set<TopicPartition> = []
    /// Those that were made anew, and of which nothing is taken in yet.
    private var anew: Set<TopicPartition> = []

    init(_ positions: [TopicPartition: Offset], _ lasts: [TopicPartition: LastRecord]) {
        (self.positions, self.lasts) = (positions, lasts)
    }

    /// Where to begin to read it; `isNew` when it was not read until now.
    mutating func start(_ place: TopicPartition, isNew: Bool) -> Consumer.StartingPoint {
        guard let position = positions[place], !anew.contains(place) else { return .earliest }
        if isNew, position > 0, lasts[place] != nil { unproven.insert(place) }
        return .offset(unproven.contains(place) ? Offset(position.rawValue - 1) : position)
    }

    enum Finding { case next, isKnown, isAnother }

    /// What a record is that came.
    mutating func find(_ record: Record, _ family: TopicFamily?) -> Finding {
        let place = record.topicPartition
        guard unproven.remove(place) != nil, let position = positions[place], record.offset < position else {
            return .next
        }
        if record.offset.rawValue == position.rawValue - 1, LastRecord(record, family) == lasts[place] {
            return .isKnown
        }
        anew.insert(place)
        return .isAnother
    }

    /// Whether a partition that ends here ended further on before.
    mutating func isShorter(_ place: TopicPartition, end: Offset) -> Bool {
        guard unproven.remove(place) != nil, let position = positions[place], end < position else { return false }
        anew.insert(place)
        return true
    }

    /// The index has these.
    mutating func note(_ batch: IndexBatch) {
        for (place, moved) in batch.positions {
            positions[place] = moved.to
            lasts[place] = batch.lasts[place]
            anew.remove(place)
        }
    }
}
