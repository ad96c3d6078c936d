internal import CSimdjson
internal import Synchronization

/// Parsers that wait for their next document, with the memory of the last one.
@safe final class ParserPool: @unchecked Sendable {
    // Unchecked: a parser in the pool belongs to nobody else, and one that was taken to whoever took it.
    static let shared = ParserPool()

    /// What is kept, by the size of document that each has memory for. A parser uses about 17 bytes for each of them.
    private static let keptBytes = 2 << 20
    /// A parser that grew beyond this is not kept: one giant would hold its memory for ever.
    private static let keptSize = 1 << 20

    @safe private struct Idle {
        var parsers: [OpaquePointer]
        var bytes = 0

        init() { unsafe parsers = [] }
    }

    private let idle = Mutex(Idle())

    private init() {}

    /// A parser; nil when there is no memory.
    func take(for size: Int) -> OpaquePointer? {
        // Raw pointers are no sendable values, and the lock's body may return nothing else.
        let kept: UInt? =
            size > Self.keptSize
            ? nil
            : idle.withLock { idle in
                guard let parser = unsafe idle.parsers.popLast() else { return nil }
                unsafe idle.bytes -= flotilla_json_capacity(parser)
                return UInt(bitPattern: parser)
            }
        if let kept { return unsafe OpaquePointer(bitPattern: kept) }
        return unsafe flotilla_json_new()
    }

    func give(back parser: OpaquePointer) {
        let size = unsafe flotilla_json_capacity(parser)
        let address = UInt(bitPattern: parser)
        let isKept = idle.withLock { idle in
            guard size <= Self.keptSize, idle.bytes + size <= Self.keptBytes,
                let parser = unsafe OpaquePointer(bitPattern: address)
            else { return false }
            unsafe idle.parsers.append(parser)
            idle.bytes += size
            return true
        }
        if !isKept { unsafe flotilla_json_free(parser) }
    }
}
