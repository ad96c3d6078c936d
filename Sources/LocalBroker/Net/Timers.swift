/// Deadlines in order: a binary heap. What no longer matters when its time comes is for its owner to ignore.
struct Timers<Item> {
    private var heap: [(deadline: Int64, item: Item)] = []

    var next: Int64? { heap.first?.deadline }
    var count: Int { heap.count }

    mutating func add(_ item: Item, at deadline: Int64) {
        heap.append((deadline, item))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].deadline < heap[parent].deadline else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest item, when its deadline has come.
    mutating func popDue(now: Int64) -> Item? {
        guard let first = heap.first, first.deadline <= now else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            let left = 2 * parent + 1
            guard left < heap.count else { break }
            let right = left + 1
            let least = right < heap.count && heap[right].deadline < heap[left].deadline ? right : left
            guard heap[least].deadline < heap[parent].deadline else { break }
            heap.swapAt(least, parent)
            parent = least
        }
        return first.item
    }

    /// Forgets the items that no longer matter; for owners whose items mostly end before their deadline.
    mutating func keep(where matters: (Item) -> Bool) {
        let kept = heap.filter { matters($0.item) }
        heap.removeAll(keepingCapacity: true)
        for entry in kept { add(entry.item, at: entry.deadline) }
    }
}
