/// Records as they came from the broker, all in one arena: a record is a view into it.
///
/// A consumer makes one arena a batch, because an allocation each for key, value and every header costs more than all
/// the copying. The arena lives as long as any record of it; what is to be kept for long should be copied out
/// (`keyBytes`, `valueBytes`, `headers`), or it keeps the whole batch.
public struct RecordBatch: Sendable, RandomAccessCollection {
    package let arena: RecordArena

    package init(_ arena: RecordArena) { self.arena = arena }

    public var startIndex: Int { 0 }
    public var endIndex: Int { arena.entries.count }
    public subscript(index: Int) -> Record {
        precondition(arena.entries.indices.contains(index), "no such record in the batch")
        return Record(arena: arena, index: index)
    }

    /// The topics that occur, in the order of their first record. `Record.topicIndex` counts in this list.
    public var topics: [TopicName] { arena.topics }
    /// How many bytes of keys, values and headers the batch holds.
    public var byteCount: Int { arena.byteCount }
}

/// One record of a batch: a view that costs no copy.
public struct Record: Sendable {
    let arena: RecordArena
    let index: Int

    private var entry: RecordArena.Entry { arena.entries[index] }

    public var topic: TopicName { arena.topics[topicIndex] }
    /// The place of the topic in the batch's `topics`: a number to switch on without hashing a name.
    public var topicIndex: Int { Int(entry.topic) }
    public var partition: Partition { Partition(entry.partition) }
    public var topicPartition: TopicPartition { TopicPartition(topic, partition) }
    public var offset: Offset { Offset(entry.offset) }
    /// Milliseconds since 1970, nil when the record has none.
    public var timestamp: Int64? { entry.timestamp < 0 ? nil : entry.timestamp }

    /// The key where it lies; nil is null, which is not the same as empty.
    public var key: RawSpan? {
        @_lifetime(borrow self)
        get {
            guard entry.keyCount >= 0 else { return nil }
            return unsafe _overrideLifetime(arena.span(entry.start, Int(entry.keyCount)), borrowing: self)
        }
    }

    /// The value where it lies; nil is null, a tombstone.
    public var value: RawSpan? {
        @_lifetime(borrow self)
        get {
            guard entry.valueCount >= 0 else { return nil }
            let start = entry.start + max(0, Int(entry.keyCount))
            return unsafe _overrideLifetime(arena.span(start, Int(entry.valueCount)), borrowing: self)
        }
    }

    /// How many bytes key, value and headers take.
    public var byteCount: Int {
        let start = headerCount > 0 ? headerEntry(at: 0).start : entry.start
        return entry.start - start + max(0, Int(entry.keyCount)) + max(0, Int(entry.valueCount))
    }

    /// The same record with its memory for itself: for one that stays long, so that its batch need not.
    public var detached: Record {
        var builder = RecordArena.Builder(records: 1, bytes: byteCount)
        for index in 0..<headerCount {
            let start = builder.byteCount
            let name = unsafe nameSpan(at: index).withUnsafeBytes { unsafe builder.append($0) }
            let value = unsafe headerValue(at: index)?.withUnsafeBytes { unsafe builder.append($0) } ?? -1
            builder.add(RecordArena.HeaderEntry(start: start, counts: (name, value)))
        }
        let start = builder.byteCount
        let keyCount = unsafe key?.withUnsafeBytes { unsafe builder.append($0) } ?? -1
        let valueCount = unsafe value?.withUnsafeBytes { unsafe builder.append($0) } ?? -1
        builder.add(
            RecordArena.Entry(
                topic: builder.intern(topic), partition: entry.partition, offset: entry.offset,
                timestamp: entry.timestamp, start: start, counts: (keyCount, valueCount),
                headers: (0, entry.headerCount)))
        return Record(arena: builder.finish(), index: 0)
    }

    public var isTombstone: Bool { entry.valueCount < 0 }

    /// A copy of the key.
    public var keyBytes: [UInt8]? {
        guard let key else { return nil }
        return key.copied
    }

    /// A copy of the value.
    public var valueBytes: [UInt8]? {
        guard let value else { return nil }
        return value.copied
    }

    public var headerCount: Int { Int(entry.headerCount) }

    /// Copies of the headers, in their order, repeated ones too.
    public var headers: [Header] {
        (0..<headerCount).map { Header(headerName(at: $0), headerValue(at: $0)?.copied) }
    }

    /// The value of the last header of this name: the one that counts where a name should occur once. The outer nil
    /// is that there is none, the inner one that it is null.
    public func lastHeader(_ name: String) -> [UInt8]?? {
        for index in (0..<headerCount).reversed() where headerNameIs(name, at: index) {
            return .some(headerValue(at: index)?.copied)
        }
        return nil
    }

    /// The name of a header; bytes that are not UTF-8 are replaced.
    public func headerName(at index: Int) -> String {
        String(decoding: nameSpan(at: index).copied, as: UTF8.self)
    }

    /// Whether the header has this name, told without making a string.
    public func headerNameIs(_ name: String, at index: Int) -> Bool {
        let span = nameSpan(at: index)
        guard span.byteCount == name.utf8.count else { return false }
        return unsafe span.withUnsafeBytes { unsafe $0.elementsEqual(name.utf8) }
    }

    /// The value of a header where it lies; nil is null.
    @_lifetime(borrow self)
    public func headerValue(at index: Int) -> RawSpan? {
        let value = value(of: headerEntry(at: index))
        return unsafe _overrideLifetime(value, borrowing: self)
    }

    @_lifetime(borrow self)
    func nameSpan(at index: Int) -> RawSpan {
        let name = name(of: headerEntry(at: index))
        return unsafe _overrideLifetime(name, borrowing: self)
    }

    // For those who look at every header of every record.

    @_lifetime(borrow self)
    func name(of header: RecordArena.HeaderEntry) -> RawSpan {
        unsafe _overrideLifetime(arena.span(header.start, Int(header.nameCount)), borrowing: self)
    }

    @_lifetime(borrow self)
    func value(of header: RecordArena.HeaderEntry) -> RawSpan? {
        guard header.valueCount >= 0 else { return nil }
        let span = arena.span(header.start + Int(header.nameCount), Int(header.valueCount))
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    var headerEntries: ArraySlice<RecordArena.HeaderEntry> {
        let entry = entry
        return arena.headers[Int(entry.firstHeader)..<Int(entry.firstHeader) + Int(entry.headerCount)]
    }

    private func headerEntry(at index: Int) -> RecordArena.HeaderEntry {
        precondition(index >= 0 && index < headerCount, "no such header in the record")
        return arena.headers[Int(entry.firstHeader) + index]
    }
}

extension RawSpan {
    /// The bytes as an array of their own.
    public var copied: [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }
}
