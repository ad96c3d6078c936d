/// The groups by id, and what they hold together.
///
/// Groups are changed in many places, and what they hold must be known at each join and commit without looking at all of
/// them. So it is counted here, at the one way to reach a group: what it held before a change is taken off and what it
/// holds after is put on. Each group knows its own share without counting, so this costs two more look-ups.
struct GroupTable {
    private var groups: [String: ClassicGroup] = [:]
    /// What all members are kept as, in bytes; see `ClassicGroup.memberBytes`.
    private(set) var memberBytes = 0
    /// What all committed offsets are kept as, in bytes; see `GroupOffsets.byteCount`.
    private(set) var offsetBytes = 0

    var count: Int { groups.count }
    var isEmpty: Bool { groups.isEmpty }
    var ids: Dictionary<String, ClassicGroup>.Keys { groups.keys }
    var values: Dictionary<String, ClassicGroup>.Values { groups.values }

    func contains(_ id: String) -> Bool { groups.index(forKey: id) != nil }

    subscript(id: String) -> ClassicGroup? {
        get { groups[id] }
        _modify {
            take(off: id)
            yield &groups[id]
            put(on: id)
        }
    }

    /// Makes the group unless it is there.
    mutating func make(_ id: String) {
        if !contains(id) { self[id] = ClassicGroup(id: id) }
    }

    private mutating func take(off id: String) {
        memberBytes -= groups[id]?.memberBytes ?? 0
        offsetBytes -= groups[id]?.offsets.byteCount ?? 0
    }

    private mutating func put(on id: String) {
        memberBytes += groups[id]?.memberBytes ?? 0
        offsetBytes += groups[id]?.offsets.byteCount ?? 0
    }
}
