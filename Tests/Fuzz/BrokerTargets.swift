import Glibc
import Platform
import TestSupport

@testable import LocalBroker

/// What a client may send to the broker, and what a broker may find on its disk.
let brokerTargets = [
    Target(name: "wire") { unsafe $0.withUnsafeBytes { unsafe decode($0) } },
    Target(name: "broker") { input in
        let bed = CoreBed()
        for frame in frames(input) { bed.take(frame) }
        bed.close()
    },
    Target(name: "segment") { openSegment($0) },
]

/// A frame that is only read.
private func decode(_ frame: UnsafeRawBufferPointer) {
    var reader = unsafe WireReader(frame)
    guard let header = try? RequestHeader(from: &reader), let request = try? Request(from: &reader, header: header)
    else { return }
    require(reader.remaining >= 0, "read behind the end")
    guard case .produce(let produce) = request else { return }
    for records in produce.topics.flatMap(\.partitions).compactMap(\.records) {
        require(records.lowerBound >= 0 && records.upperBound <= frame.count, "records outside of their frame")
    }
}

/// An input as frames, each behind two bytes that say how long it is.
private func frames(_ input: [UInt8]) -> [[UInt8]] {
    var (frames, rest): ([[UInt8]], ArraySlice<UInt8>) = ([], input[...])
    while rest.count > 2, frames.count < 50 {
        let count = rest.prefix(2).reduce(0) { $0 << 8 | Int($1) }
        rest = rest.dropFirst(2)
        frames.append(Array(rest.prefix(count)))
        rest = rest.dropFirst(count)
    }
    return frames
}

/// A broker's core without its loop, new for each input, in memory.
private final class CoreBed {
    private let folder = TemporaryFolder()
    private let core: BrokerCore
    private let connection: Connection
    private let doorbell: Doorbell
    private let sockets: (Int32, Int32)
    private var now: Int64 = 1_000_000
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)

    init() {
        var configuration = BrokerConfiguration(dataFolder: folder.path + "/data")
        configuration.durability = .never
        configuration.limits.partitions = 20
        var ends: [Int32] = [0, 0]
        guard unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends) == 0,
            let doorbell = try? Doorbell(),
            let core = try? BrokerCore(
                configuration, port: 9092, files: SystemFiles(), doorbell: doorbell,
                log: Log(level: .error, format: .text) { _ in })
        else { fatalError("no broker in \(folder.path)") }
        sockets = (ends[0], ends[1])
        self.doorbell = doorbell
        self.core = core
        connection = Connection(id: 2, descriptor: ends[1], peer: "127.0.0.1:2", limits: BrokerLimits(), now: 0) { _ in
        }
    }

    func take(_ frame: [UInt8]) {
        var frame = frame
        unsafe frame.withUnsafeMutableBytes { bytes in
            unsafe repairChecksums(bytes)
            try? unsafe core.handle(bytes, from: connection, now: now)
        }
        // Long enough for a session to end now and then.
        now += 3000
        core.endOfTurn(now: now)
        _ = connection.send(now: now)
        while unsafe recv(sockets.0, &buffer, buffer.count, 0) > 0 {}
    }

    func close() {
        core.connectionsClosed([connection.id], now: now)
        connection.close()
        Glibc.close(sockets.0)
        core.close()
    }

    /// The checksum of records, which nobody finds by chance.
    private func repairChecksums(_ frame: UnsafeMutableRawBufferPointer) {
        var reader = unsafe WireReader(UnsafeRawBufferPointer(frame))
        guard let header = try? RequestHeader(from: &reader),
            case .produce(let produce) = try? Request(from: &reader, header: header)
        else { return }
        for records in produce.topics.flatMap(\.partitions).compactMap(\.records)
        where records.upperBound <= frame.count {
            unsafe repairChecksum(UnsafeMutableRawBufferPointer(rebasing: frame[records]))
        }
    }
}

/// Sets the checksum of a batch as its producer would have.
private func repairChecksum(_ batch: UnsafeMutableRawBufferPointer) {
    guard batch.count > RecordBatchHeader.bytes else { return }
    let end = unsafe min(
        max(RecordBatchHeader(UnsafeRawBufferPointer(batch)).totalBytes, RecordBatchHeader.bytes), batch.count)
    let checked = unsafe UnsafeRawBufferPointer(rebasing: batch[RecordBatchHeader.checkedFrom..<end])
    unsafe batch.storeBytes(of: checked.checksum().bigEndian, toByteOffset: 17, as: UInt32.self)
}

/// A partition whose file holds the input, half of the time with true checksums: it is opened, read and appended to.
private func openSegment(_ input: [UInt8]) {
    let folder = TemporaryFolder()
    guard let first = input.first else { return }
    var bytes = Array(input.dropFirst())
    if first & 1 == 0 {
        unsafe bytes.withUnsafeMutableBytes { bytes in
            var start = 0
            while bytes.count - start > RecordBatchHeader.bytes {
                let batch = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
                unsafe repairChecksum(batch)
                start += unsafe max(1, RecordBatchHeader(UnsafeRawBufferPointer(batch)).totalBytes)
            }
        }
    }
    let directory = folder.path + "/t-0"
    unsafe mkdir(directory, 0o700)
    guard (try? SystemFile(directory + "/" + SegmentName.log(0), .replaced).write(bytes, at: 0)) != nil,
        let log = try? PartitionLog.open(
            directory: directory, files: SystemFiles(), settings: LogSettings(), durability: .never,
            log: Log(level: .error, format: .text) { _ in }, now: 1_000_000)
    else { return }
    var next: Int64 = 0
    while let slice = try? log.read(from: next, maxBytes: 1 << 20, atLeastOne: true) {
        var head = [UInt8](repeating: 0, count: RecordBatchHeader.bytes)
        let place = Int64(slice.position)
        guard slice.count >= head.count,
            (try? unsafe head.withUnsafeMutableBytes { unsafe try slice.file.read(into: $0, at: place) }) != nil
        else { break }
        let last = unsafe head.withUnsafeBytes { unsafe RecordBatchHeader($0).lastOffset }
        require(last >= next, "a batch that ends before \(next) at \(last)")
        next = last + 1
    }
    log.close()
}
