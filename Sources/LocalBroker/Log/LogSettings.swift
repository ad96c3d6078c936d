/// How one topic's partitions are kept.
struct LogSettings: Sendable, Equatable {
    /// A segment is sealed before it grows past this.
    var segmentBytes: Int64 = 64 << 20
    /// A segment is sealed when its first append is this old.
    var segmentMilliseconds: Int64 = 7 * 24 * 3_600_000
    /// Segments whose records are all older than this are removed; nil keeps them.
    var retentionMilliseconds: Int64? = 7 * 24 * 3_600_000
    /// The oldest segments are removed while the others hold at least this much; nil keeps them.
    var retentionBytes: Int64?
    /// The largest batch that is accepted.
    var largestBatch = 1_048_588
}

/// Where an append went.
struct Appended: Equatable, Sendable {
    let baseOffset: Int64
    let lastOffset: Int64
    let logStart: Int64
    /// It was in the log already, at these offsets.
    let isDuplicate: Bool
}

/// Whole batches in a file, ready to be sent. The file stays open as long as the slice is held.
struct LogSlice: Sendable {
    let file: any OpenFile
    let position: Int
    let count: Int
}

/// Why a read or a lookup was refused; the raw value is Kafka's error code.
enum ReadFault: Int16, Error {
    /// Below the log's start or above its end.
    case outOfRange = 1
    /// The disk is failing, or the partition is offline.
    case storage = 56
}
