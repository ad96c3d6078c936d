internal import Model

/// Records of one partition that wait for one lane, in their order.
struct LaneQueue {
    private var slices: [LaneSlice] = []
    /// Records that were taken and have to come first again.
    private var front: [WorkItem] = []
    /// Whether the lane's task is at work.
    var isRunning = false

    /// True when the lane's task is to be started.
    mutating func start() -> Bool {
        guard !isRunning else { return false }
        isRunning = true
        return true
    }

    mutating func append(_ slice: LaneSlice) { slices.append(slice) }

    /// Puts records back where they were. What of a row is put back at different moments may lie between what came back
    /// before, and a lane with strict order that met it otherwise would pass a record over.
    mutating func putBack(_ items: [WorkItem]) {
        front.insert(contentsOf: items, at: 0)
        let isSorted = zip(front, front.dropFirst()).allSatisfy { $0.ticket < $1.ticket }
        if !isSorted { front.sort { $0.ticket < $1.ticket } }
    }

    /// The next records, nil when there are none.
    mutating func take(_ max: Int) -> [WorkItem]? {
        var items: [WorkItem] = []
        if !front.isEmpty {
            items = Array(front.prefix(max))
            front.removeFirst(items.count)
        }
        // A slice that is used up goes at once: it keeps a batch's memory.
        var used = 0
        while items.count < max, used < slices.count {
            slices[used].move(max - items.count, to: &items)
            guard slices[used].isEmpty else { break }
            used += 1
        }
        slices.removeFirst(used)
        return items.isEmpty ? nil : items
    }
}

/// A lane's share of a batch.
struct LaneSlice {
    private let batch: RecordBatch
    /// Nil when the share is the whole batch.
    private let share: [Int32]?
    private let firstTicket: UInt64
    private var next = 0

    init(_ batch: RecordBatch, _ share: [Int32]? = nil, from firstTicket: UInt64) {
        self.batch = batch
        self.share = share
        self.firstTicket = firstTicket
    }

    private var count: Int { share?.count ?? batch.count }
    var isEmpty: Bool { next == count }

    mutating func move(_ max: Int, to items: inout [WorkItem]) {
        let end = min(count, next + max)
        items.reserveCapacity(items.count + end - next)
        while next < end {
            let index = share.map { Int($0[next]) } ?? next
            items.append(WorkItem(record: batch[index], ticket: firstTicket + UInt64(index)))
            next += 1
        }
    }
}

/// Which lane a record goes to: each key always to the same, those without a key in turn.
enum LaneChoice {
    static func lane(for record: Record, of lanes: Int) -> Int {
        guard let key = record.key else {
            return Int(truncatingIfNeeded: UInt64(bitPattern: record.offset.rawValue) % UInt64(lanes))
        }
        // FNV-1a: keys are short, and nobody gains by a collision within one partition.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in 0..<key.byteCount {
            let byte = unsafe key.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        return Int(truncatingIfNeeded: (hash ^ (hash >> 32)) % UInt64(lanes))
    }
}
