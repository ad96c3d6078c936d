internal import Model
internal import Postgres

// A journal entry: the points of one transaction, as short as they can be told, about 20 bytes each. A name is written
// where it comes first in an entry, and is a number from then on; of a user there is the hash that the sketches know.
//
//   version, then for each point:
//     the number of its metric, behind the last one: campaign, metric
//     how many parts, for each its number, behind the last one: dimension, value
//     milliseconds since the point before, 1 for a value + 2 for a user, the value, the user
struct JournalWriter {
    private var writer = SealedWriter(.journal, version: 1, capacity: 16 << 10)
    private let entry: UInt64
    private var (metrics, parts): (UInt64, UInt64) = (0, 0)
    private var lastTime: Int64 = 0

    /// `entry`: a number that no other entry of this memory has.
    init(entry: UInt64) { self.entry = entry }

    mutating func add(_ metric: Metric, _ series: [Series], _ time: Int64, _ value: Micros?, _ user: UInt64?) {
        if note(&metric.mark, behind: metrics) {
            metrics += 1
            put(metric.campaign)
            put(metric.name)
        }
        writer.put(number: UInt64(series.count))
        for one in series where note(&one.mark, behind: parts) {
            parts += 1
            put(one.part?.dimension)
            put(one.part?.value)
        }
        writer.put(signed: time - lastTime)
        lastTime = time
        writer.put(byte: (value == nil ? 0 : 1) + (user == nil ? 0 : 2))
        if let value { writer.put(signed: value.units) }
        if let user { writer.put(words: [user]) }
    }

    /// Writes a number; true when it is the first of its kind.
    private mutating func note(_ mark: inout JournalMark, behind count: UInt64) -> Bool {
        let isNew = mark.entry != entry
        if isNew { mark = JournalMark(entry: entry, number: count) }
        writer.put(number: mark.number)
        return isNew
    }

    private mutating func put(_ text: ByteText?) {
        let bytes = (text?.text ?? "").utf8
        writer.put(number: UInt64(bytes.count))
        writer.put(bytes)
    }

    consuming func sealed() -> [UInt8] { writer.sealed() }
}

/// Reads what `JournalWriter` wrote.
struct JournalReader {
    struct Entry {
        let campaign: ByteText
        let metric: ByteText
        let parts: [Metric.Part]
        let time: Int64
        let value: Micros?
        let user: UInt64?
    }

    private var reader: SealedReader
    private var metrics: [(campaign: ByteText, metric: ByteText)] = []
    private var parts: [Metric.Part] = []
    private var lastTime: Int64 = 0

    init(_ bytes: [UInt8]) throws(SketchFault) { reader = try SealedReader(.journal, version: 1, bytes) }

    mutating func next() throws(SketchFault) -> Entry? {
        guard reader.remaining > 0 else { return nil }
        let number = try reader.number()
        if number == UInt64(metrics.count) { metrics.append((try text(), try text())) }
        guard number < UInt64(metrics.count) else { throw .damaged }
        var found: [Metric.Part] = []
        for _ in 0..<min(try reader.number(), UInt64(reader.remaining)) {
            let number = try reader.number()
            if number == UInt64(parts.count) { parts.append(Metric.Part(dimension: try text(), value: try text())) }
            guard number < UInt64(parts.count) else { throw .damaged }
            found.append(parts[Int(number)])
        }
        let (time, overflow) = lastTime.addingReportingOverflow(try reader.signed())
        guard !overflow, Window.times.contains(time) else { throw .damaged }
        lastTime = time
        let kinds = try reader.byte()
        var (value, user): (Micros?, UInt64?) = (nil, nil)
        if kinds & 1 != 0 {
            guard let micros = Micros(units: try reader.signed()) else { throw .damaged }
            value = micros
        }
        if kinds & 2 != 0 { user = try reader.words(1).first }
        let (campaign, metric) = metrics[Int(number)]
        return Entry(campaign: campaign, metric: metric, parts: found, time: time, value: value, user: user)
    }

    private mutating func text() throws(SketchFault) -> ByteText {
        let count = try reader.number()
        guard count <= UInt64(reader.remaining) else { throw .damaged }
        return ByteText(String(decoding: try reader.bytes(Int(count)), as: UTF8.self))
    }
}

/// Where entries lie: cut into pieces, each in a place of a ring that the partition has for itself. A piece is written
/// over one that has long been in the windows, within its page, so the table neither grows nor leaves anything to be
/// cleaned up.
struct JournalStore {
    let transaction: PostgresTransaction
    let partition: Int32

    /// How many pieces there are between two writes of the windows. Never to be changed: pieces that are there already
    /// would be looked for elsewhere.
    static let places: Int64 = 2048
    private static let pieceBytes = 2400

    static func pieces(of bytes: [UInt8]) -> Int64 { Int64((bytes.count + pieceBytes - 1) / pieceBytes) }

    /// Writes an entry behind the piece `last`; which one is the last now.
    func write(_ bytes: [UInt8], behind last: Int64) -> Int64 {
        let count = Self.pieces(of: bytes)
        let numbers = (1...count).map { last + $0 }
        let bodies = stride(from: 0, to: bytes.count, by: Self.pieceBytes).map {
            Array(bytes[$0..<min(bytes.count, $0 + Self.pieceBytes)])
        }
        transaction.later(
            """
            INSERT INTO journal (partition, place, piece, more, body)
            SELECT \(partition), (k.piece % \(Self.places))::int, k.piece, k.more, k.body
            FROM unnest(\(BinaryArray(integers: numbers))::bigint[],
                \(BinaryArray(integers: numbers.map { last + count - $0 }))::bigint[],
                \(BinaryArray(bytes: bodies))::bytea[]) AS k (piece, more, body)
            ON CONFLICT (partition, place) DO UPDATE SET piece = excluded.piece, more = excluded.more, body = excluded.body
            """)
        return last + count
    }

    /// The entries of these pieces, in their order.
    func entries(_ pieces: Range<Int64>) async throws -> [[UInt8]] {
        let rows = try await transaction.query(
            """
            SELECT piece, more, body FROM journal
            WHERE partition = \(partition) AND piece >= \(pieces.lowerBound) AND piece < \(pieces.upperBound) ORDER BY piece
            """)
        guard rows.count == pieces.count else { throw PostgresFault.unreadable("the journal has lost pieces: it") }
        var entries: [[UInt8]] = []
        var entry: [UInt8] = []
        for row in rows {
            entry += try row.value("body", as: [UInt8].self)
            if try row.value("more", as: Int64.self) == 0 {
                entries.append(entry)
                entry = []
            }
        }
        return entries
    }
}
