/// Records to be published, kept in one buffer: appending one copies its bytes and allocates nothing of its own.
///
/// Records are ranges into the buffer and topics are small numbers, because an array each for key, value and headers
/// costs several times what the copy costs. A batch that is emptied keeps its memory for the next one.
public struct OutgoingBatch: Sendable {
    /// Where a record lies in `bytes`: its key, then its value. A count below zero is null.
    package struct Entry: Sendable {
        package let topic: Int32
        package let partition: Int32
        package let start: Int
        package let keyCount: Int32
        package let valueCount: Int32
        package let firstHeader: Int32
        package let headerCount: Int32
        package let timestamp: Int64
    }

    /// Where a header lies in `bytes`: its name, then its value. A count below zero is null.
    package struct HeaderEntry: Sendable {
        package let start: Int
        package let nameCount: Int32
        package let valueCount: Int32
    }

    /// What `Entry.partition` and `Entry.timestamp` say when nothing was asked for.
    package static let unset: Int32 = -1

    package private(set) var bytes: [UInt8] = []
    package private(set) var entries: [Entry] = []
    package private(set) var headers: [HeaderEntry] = []
    package private(set) var topics: [TopicName] = []

    public init() {}

    public init(_ records: some Sequence<OutgoingRecord>) {
        for record in records { append(record) }
    }

    public var count: Int { entries.count }
    public var isEmpty: Bool { entries.isEmpty }
    /// How many bytes of keys, values and headers the batch holds.
    public var byteCount: Int { bytes.count }

    public mutating func reserveCapacity(records: Int, bytes: Int) {
        entries.reserveCapacity(records)
        self.bytes.reserveCapacity(bytes)
    }

    /// As above, for records of so many headers in all.
    package mutating func reserveCapacity(records: Int, headers: Int, bytes: Int) {
        reserveCapacity(records: records, bytes: bytes)
        self.headers.reserveCapacity(headers)
    }

    /// Makes room for so many records in all that are like the ones here, within a megabyte.
    package mutating func reserve(like count: Int) {
        guard !entries.isEmpty, count > entries.count else { return }
        let factor = min(count / entries.count, (1 << 20) / max(bytes.count, 256))
        entries.reserveCapacity(entries.count * factor)
        headers.reserveCapacity(headers.count * factor)
        bytes.reserveCapacity(bytes.count * factor)
    }

    /// Empties the batch; its memory stays for what comes next.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        headers.removeAll(keepingCapacity: true)
        topics.removeAll(keepingCapacity: true)
    }

    public mutating func append(_ record: OutgoingRecord) {
        let firstHeader = add(record.headers)
        let start = bytes.count
        let keyCount = add(record.key)
        let valueCount = add(record.value)
        entries.append(
            Entry(
                topic: number(of: record.topic), partition: record.partition?.rawValue ?? Self.unset, start: start,
                keyCount: keyCount, valueCount: valueCount, firstHeader: firstHeader,
                headerCount: Int32(clamping: record.headers.count), timestamp: record.timestamp ?? Int64(Self.unset)))
    }

    /// Appends a record whose bytes lie anywhere; they are copied here.
    public mutating func append(
        topic: TopicName,
        partition: Partition? = nil,
        key: RawSpan?,
        value: RawSpan?,
        headers fields: [Header] = [],
        timestamp: Int64? = nil
    ) {
        let firstHeader = add(fields)
        let start = bytes.count
        let keyCount = add(key)
        let valueCount = add(value)
        entries.append(
            Entry(
                topic: number(of: topic), partition: partition?.rawValue ?? Self.unset, start: start,
                keyCount: keyCount, valueCount: valueCount, firstHeader: firstHeader,
                headerCount: Int32(clamping: fields.count), timestamp: timestamp ?? Int64(Self.unset)))
    }

    /// Appends a header of the record that `append(_:headersFrom:)` will name, with no array in between.
    package mutating func addHeader(_ name: StaticString, _ value: RawSpan) {
        let text = unsafe UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        unsafe value.withUnsafeBytes { unsafe addHeader(text, $0) }
    }

    private mutating func addHeader(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        let start = bytes.count
        unsafe add(name, value)
        headers.append(
            HeaderEntry(
                start: start, nameCount: Int32(clamping: name.count), valueCount: Int32(clamping: value.count)))
    }

    package mutating func addHeader(_ name: StaticString, _ value: String) {
        // The bytes where they lie: appending the string's view goes through a copy that costs several times as much.
        var value = value
        value.withUTF8 { addHeader(name, unsafe RawSpan(_unsafeElements: $0)) }
    }

    /// One whose name comes from somebody.
    package mutating func addHeader(named name: String, _ value: String) {
        var (name, value) = (name, value)
        name.withUTF8 { name in
            value.withUTF8 { value in unsafe addHeader(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer(value)) }
        }
    }

    /// Appends a record whose headers are those added since there were `mark` of them.
    package mutating func append(
        topic: TopicName, partition: Partition? = nil, key: RawSpan?, value: RawSpan?, headersFrom mark: Int
    ) {
        let start = bytes.count
        let (keyCount, valueCount) = (Self.count(key), Self.count(value))
        unsafe Self.lend(key) { key in unsafe Self.lend(value) { unsafe add(key, $0) } }
        entries.append(
            Entry(
                topic: number(of: topic), partition: partition?.rawValue ?? Self.unset, start: start,
                keyCount: keyCount, valueCount: valueCount, firstHeader: Int32(clamping: mark),
                headerCount: Int32(clamping: headers.count - mark), timestamp: Int64(Self.unset)))
    }

    /// Appends two runs of bytes. Room is asked for once: it costs more than the copies.
    private mutating func add(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) {
        bytes.append(addingCapacity: first.count + second.count) { output in
            unsafe output.withUnsafeMutableBufferPointer { room, count in
                let target = UnsafeMutableRawBufferPointer(room)
                unsafe target.copyMemory(from: first)
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[first.count...]).copyMemory(from: second)
                count = first.count + second.count
            }
        }
    }

    /// Some of the records, by their places, in the order given; the bytes are shared.
    package func only(_ places: [Int]) -> OutgoingBatch {
        var some = self
        some.entries = places.map { entries[$0] }
        return some
    }

    /// Appends another batch's records.
    package mutating func append(_ other: OutgoingBatch) {
        let (shift, firstHeader) = (bytes.count, Int32(clamping: headers.count))
        bytes.append(contentsOf: other.bytes)
        for header in other.headers {
            headers.append(
                HeaderEntry(
                    start: header.start + shift, nameCount: header.nameCount, valueCount: header.valueCount))
        }
        for entry in other.entries {
            entries.append(
                Entry(
                    topic: number(of: other.topics[Int(entry.topic)]), partition: entry.partition,
                    start: entry.start + shift, keyCount: entry.keyCount, valueCount: entry.valueCount,
                    firstHeader: entry.firstHeader + firstHeader, headerCount: entry.headerCount,
                    timestamp: entry.timestamp))
        }
    }

    /// Takes the records off again that came after the first `count`.
    package mutating func keep(_ count: Int) {
        guard count < entries.count else { return }
        let first = entries[count]
        let firstHeader = Int(first.firstHeader)
        let end = firstHeader < headers.count ? min(headers[firstHeader].start, first.start) : first.start
        bytes.removeLast(bytes.count - end)
        headers.removeLast(max(0, headers.count - firstHeader))
        entries.removeLast(entries.count - count)
    }

    private mutating func add(_ fields: [Header]) -> Int32 {
        let first = Int32(clamping: headers.count)
        for field in fields {
            let start = bytes.count
            bytes.append(contentsOf: field.name.utf8)
            let nameCount = Int32(clamping: bytes.count - start)
            headers.append(HeaderEntry(start: start, nameCount: nameCount, valueCount: add(field.value)))
        }
        return first
    }

    private mutating func add(_ array: [UInt8]?) -> Int32 {
        guard let array else { return Self.unset }
        bytes.append(contentsOf: array)
        return Int32(clamping: array.count)
    }

    private mutating func add(_ span: RawSpan?) -> Int32 {
        guard let span else { return Self.unset }
        unsafe span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
        return Int32(clamping: span.byteCount)
    }

    private static func count(_ span: RawSpan?) -> Int32 {
        guard let span else { return unset }
        return Int32(clamping: span.byteCount)
    }

    private static func lend(_ span: RawSpan?, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard let span else { return unsafe body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        unsafe span.withUnsafeBytes { unsafe body($0) }
    }

    /// A batch has few topics and mostly goes on with its last one, so a look from the end is cheaper than a hash.
    private mutating func number(of topic: TopicName) -> Int32 {
        if let known = topics.lastIndex(of: topic) { return Int32(clamping: known) }
        topics.append(topic)
        return Int32(clamping: topics.count - 1)
    }
}
