// Over a restart: the journal's records in, then `resume`; and, for a journal that has grown long, the fewest records
// that say the same.
//
// A restart goes back to the last agreement of each group. A group that was stable goes on under its generation, as if
// nothing had happened; one that was amid a round starts another, since its members' generation is refused.

extension GroupCoordinator {
    /// Applies a record of the journal. To be called before anything else, in the order of their making.
    mutating func restore(_ record: GroupRecord) {
        switch record {
        case .group(let agreement):
            groups.make(agreement.group)
            groups[agreement.group]?.restore(agreement)
        case .generation(let id, let generation):
            let last = groups[id]?.lastGeneration ?? 0
            groups.make(id)
            groups[id]?.lastGeneration = max(last, generation)
        case .groupRemoved(let id): groups[id] = nil
        case .offset(let id, let partition, let offset):
            groups.make(id)
            groups[id]?.offsets.set(partition, offset)
        case .offsetRemoved(let id, let partition): _ = groups[id]?.offsets.remove(partition)
        }
    }

    /// The journal says, at this place among the records, that a topic was deleted.
    mutating func restore(removalOf topic: String) { _ = removeOffsets(of: [topic]) }

    /// After the last record: every member has a session's time from `now` to show itself.
    mutating func resume(now: Int64) {
        context.now = now
        for group in groups.values {
            for member in group.members.values { group.touch(member, &context) }
            group.noteIfIdle(&context)
            dropIfBlank(group.id)
        }
    }

    /// Records that lead to what the journal's lead to, by group.
    func snapshot() -> [GroupRecord] {
        groups.values.sorted { $0.id < $1.id }.flatMap { group in
            var records: [GroupRecord] = []
            if let durable = group.durable { records.append(.group(durable)) }
            if group.lastGeneration > group.durable?.generation ?? 0 {
                records.append(.generation(group: group.id, generation: group.lastGeneration))
            }
            records += group.offsets.all.map { .offset(group: group.id, partition: $0.partition, offset: $0.offset) }
            return records
        }
    }
}

extension ClassicGroup {
    /// Takes an agreement of the journal for the present state; offsets stay.
    mutating func restore(_ agreement: GroupRecord.Group) {
        var restored = ClassicGroup(id: id)
        restored.offsets = offsets
        restored.generation = agreement.generation
        restored.lastGeneration = max(lastGeneration, agreement.generation)
        restored.protocolType = agreement.protocolType
        restored.protocolName = agreement.protocolName
        for member in agreement.members {
            restored.put(GroupMember(restoring: member, sequence: restored.takeSequence()))
        }
        if restored.members.isEmpty {
            restored.protocolName = nil
        } else {
            restored.phase = .stable
            restored.leader = agreement.leader.flatMap { restored.members[$0]?.memberID }
        }
        restored.durable = agreement
        self = restored
    }
}
