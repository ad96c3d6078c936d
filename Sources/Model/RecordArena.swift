internal import Glibc

/// The memory behind a batch of records. It is filled by one thread through a `RecordArena.Builder` and never changes
/// once it is finished, so views may be read anywhere.
@safe package final class RecordArena: @unchecked Sendable {
    // Unchecked: `memory` is written only by the builder, which gives the arena away whole when it is finished.

    /// Where a record lies: its key, then its value. A count below zero is null.
    package struct Entry: Sendable {
        package let topic: Int32
        package let partition: Int32
        package let offset: Int64
        package let timestamp: Int64
        package let start: Int
        package let keyCount: Int32
        package let valueCount: Int32
        package let firstHeader: Int32
        package let headerCount: Int32
    }

    /// Where a header lies: its name, then its value. A count below zero is null.
    package struct HeaderEntry: Sendable {
        package let start: Int
        package let nameCount: Int32
        package let valueCount: Int32
    }

    private let memory: Memory
    package let byteCount: Int
    package let entries: [Entry]
    package let headers: [HeaderEntry]
    package let topics: [TopicName]

    private init(memory: Memory, byteCount: Int, entries: [Entry], headers: [HeaderEntry], topics: [TopicName]) {
        self.memory = memory
        self.byteCount = byteCount
        self.entries = entries
        self.headers = headers
        self.topics = topics
    }

    /// The bytes of a range that an entry names.
    @_lifetime(borrow self)
    func span(_ start: Int, _ count: Int) -> RawSpan {
        let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(memory.base) + start, byteCount: count)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Fills an arena. Bytes are appended first, then `add` says which record they are.
    @safe package struct Builder: ~Copyable {
        private let memory: Memory
        package private(set) var byteCount = 0
        private var entries: [Entry] = []
        private var headers: [HeaderEntry] = []
        private var topics: [TopicName] = []

        package init(records: Int, bytes: Int = 16 * 1024, headers: Int = 0) {
            memory = Memory(capacity: max(bytes, 1))
            entries.reserveCapacity(records)
            self.headers.reserveCapacity(headers)
        }

        package var count: Int { entries.count }
        package var isEmpty: Bool { entries.isEmpty }

        /// Copies bytes to the end and returns their number: what an entry calls a count. Nil is null, -1.
        @inline(__always) package mutating func append(_ bytes: UnsafeRawBufferPointer?) -> Int32 {
            guard let bytes = unsafe bytes else { return -1 }
            let needed = byteCount + bytes.count
            if needed > memory.capacity { memory.grow(to: needed) }
            if let source = bytes.baseAddress {
                unsafe (memory.base + byteCount).copyMemory(from: source, byteCount: bytes.count)
            }
            byteCount = needed
            return Int32(clamping: bytes.count)
        }

        /// The number of a topic that is new to this batch.
        package mutating func intern(_ topic: TopicName) -> Int32 {
            topics.append(topic)
            return Int32(clamping: topics.count - 1)
        }

        package var headerTotal: Int { headers.count }

        /// Copies a header of the record that comes next; a value of nil is null.
        @inline(__always)
        package mutating func addHeader(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) {
            let start = byteCount
            let counts = unsafe (append(name), append(value))
            headers.append(HeaderEntry(start: start, counts: counts))
        }

        package mutating func add(_ header: HeaderEntry) { headers.append(header) }

        package mutating func add(_ entry: Entry) { entries.append(entry) }

        /// Gives the arena away.
        package consuming func finish() -> RecordArena {
            RecordArena(memory: memory, byteCount: byteCount, entries: entries, headers: headers, topics: topics)
        }
    }

    /// One block of bytes, freed with its owner.
    @safe private final class Memory {
        private(set) var base: UnsafeMutableRawPointer
        private(set) var capacity: Int

        init(capacity: Int) {
            self.capacity = capacity
            guard let base = unsafe malloc(capacity) else { fatalError("no memory for a batch of records") }
            unsafe self.base = base
        }

        deinit { unsafe free(base) }

        func grow(to needed: Int) {
            let larger = max(needed, capacity * 2)
            // What lies last in the heap, or is large, grows where it is.
            guard let moved = unsafe realloc(base, larger) else { fatalError("no memory for a batch of records") }
            unsafe base = moved
            capacity = larger
        }
    }
}

extension RecordArena.Entry {
    package init(
        topic: Int32, partition: Int32, offset: Int64, timestamp: Int64, start: Int, counts: (key: Int32, value: Int32),
        headers: (first: Int32, count: Int32)
    ) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.start = start
        keyCount = counts.key
        valueCount = counts.value
        firstHeader = headers.first
        headerCount = headers.count
    }
}

extension RecordArena.HeaderEntry {
    package init(start: Int, counts: (name: Int32, value: Int32)) {
        self.start = start
        nameCount = counts.name
        valueCount = counts.value
    }
}
