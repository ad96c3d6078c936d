internal import Platform
internal import Synchronization

/// Makes spans and hands those that are kept to whoever sends them away.
///
/// A span's way: `begin`, what there is to say of it, `end`. There it is written down in the wire format, into a buffer
/// that an exporter empties. What the buffer has no room for is counted and gone: tracing never makes anybody wait.
public final class Tracer: Sendable {
    public struct Configuration: Sendable {
        /// The part of our own traces that is kept; those that others began are kept as they say.
        public var ratio = 1.0
        /// How many of our own are begun in a second at most, so that their cost does not grow with the load.
        public var perSecond = 100
        /// What all spans say of this process.
        public var resource: [(name: String, value: Span.Value)] = []

        public init() {}
    }

    /// What was written in one go.
    struct Chunk: Sendable {
        var spans: [UInt8] = []
        var count = 0
    }

    private struct State {
        var full: [Chunk] = []
        var current = Chunk()
        var waiting = 0
        var dropped = 0
        var second: Int64 = 0
        var begun = 0
    }

    private static let chunkBytes = 512 << 10
    private static let mostBytes = 8 << 20

    private let state = Mutex(State())
    private let threshold: UInt64
    private let perSecond: Int
    /// `ResourceSpans` but for its spans.
    private let resource: [UInt8]
    private let clock: @Sendable () -> Int64

    public convenience init(_ configuration: Configuration) {
        self.init(configuration) { Time.wallNanoseconds }
    }

    /// `clock`: nanoseconds since 1970.
    init(_ configuration: Configuration, clock: @escaping @Sendable () -> Int64) {
        let ratio = min(max(configuration.ratio, 0), 1)
        threshold = ratio >= 1 ? .max : UInt64(ratio * Double(UInt64.max >> 1)) << 1
        perSecond = max(0, configuration.perSecond)
        self.clock = clock
        var writer = ProtobufWriter()
        writer.add(1) { resource in
            for (name, value) in configuration.resource { resource.add(1) { $0.add(name, value) } }
        }
        resource = writer.bytes
    }

    // MARK: Spans

    /// Begins a span below `parent`; without one, a trace.
    public func begin(_ name: String, _ kind: Span.Kind = .internal, below parent: TraceParent? = nil) -> Span {
        let now = clock()
        let (one, other) = RandomPool.shared.next()
        if let parent {
            let place = TraceParent(trace: parent.trace, span: one | 1, isSampled: parent.isSampled)
            return Span(name, kind, place: place, parent: parent, start: now)
        }
        let (third, _) = RandomPool.shared.next()
        let place = TraceParent(
            trace: TraceID(high: one, low: other | 1), span: third | 1,
            isSampled: keeps(other, second: now / 1_000_000_000))
        return Span(name, kind, place: place, parent: nil, start: now)
    }

    public func end(_ span: Span) {
        guard span.isRecording else { return }
        var writer = ProtobufWriter(capacity: 512)
        span.write(to: &writer, end: clock())
        state.withLock { state in
            guard state.waiting + writer.bytes.count <= Self.mostBytes else {
                state.dropped += 1
                return
            }
            state.waiting += writer.bytes.count
            state.current.spans += writer.bytes
            state.current.count += 1
            if state.current.spans.count >= Self.chunkBytes {
                state.full.append(state.current)
                state.current = Chunk()
            }
        }
    }

    /// By the trace's own number, so that everybody with the same ratio keeps the same ones.
    private func keeps(_ number: UInt64, second: Int64) -> Bool {
        guard number <= threshold, threshold > 0 else { return false }
        return state.withLock { state in
            if state.second != second {
                state.second = second
                state.begun = 0
            }
            guard state.begun < perSecond else { return false }
            state.begun += 1
            return true
        }
    }

    // MARK: For who sends them

    /// What is to be sent next, oldest first.
    func takeChunk() -> Chunk? {
        state.withLock { state in
            if !state.full.isEmpty { return state.full.removeFirst() }
            guard state.current.count > 0 else { return nil }
            defer { state.current = Chunk() }
            return state.current
        }
    }

    /// What was taken is sent, or given up.
    func release(_ chunk: Chunk, isSent: Bool) {
        state.withLock { state in
            state.waiting -= chunk.spans.count
            if !isSent { state.dropped += chunk.count }
        }
    }

    /// How many spans were not sent: no room, or nobody took them.
    public var dropped: Int { state.withLock { $0.dropped } }

    /// A request of OTLP with these spans.
    func request(_ chunk: Chunk) -> [UInt8] {
        var writer = ProtobufWriter(capacity: chunk.spans.count + resource.count + 64)
        writer.add(1) { resourceSpans in
            resourceSpans.append(resource)
            resourceSpans.add(2) { scopeSpans in
                scopeSpans.add(1) { $0.add(1, text: "flotilla") }
                scopeSpans.append(chunk.spans)
            }
        }
        return writer.bytes
    }
}
