public import Model
internal import Platform
internal import Synchronization

/// Makes spans and hands those that are kept to whoever sends them away.
///
/// A span's way: `begin`, what there is to say of it, `end`. There it is written down in the wire format, into a buffer
/// that an exporter empties. What the buffer has no room for is counted and gone: tracing never makes anybody wait.
public final class Tracer: Sendable {
    public struct Configuration: Sendable {
        public var sampler = Sampler()
        /// What all spans say of this process.
        public var resource: [(name: String, value: Span.Value)] = []

        public init() {}
    }

    /// What was written in one go.
    struct Chunk: Sendable {
        var spans: [UInt8] = []
        var count = 0
    }

    /// Why a span was not sent.
    package enum Loss: String, Sendable, CaseIterable {
        /// The buffer had no room: nobody took spans, or not fast enough.
        case full
        /// The collector does not want it.
        case refused
        /// The process ended before anybody took it.
        case unsent
    }

    /// What is told of the tracer.
    package struct Figures: Sendable {
        package fileprivate(set) var sent = 0
        package fileprivate(set) var lost: [Loss: Int] = [:]
        /// Traces that were not begun because so many were in that second.
        package fileprivate(set) var limited = 0
        package fileprivate(set) var waitingBytes = 0
    }

    private struct State {
        var full: [Chunk] = []
        var current = Chunk()
        var figures = Figures()
        var second: Int64 = 0
        var begun = 0
        var wake: (@Sendable () -> Void)?
    }

    private static let chunkBytes = 512 << 10
    private static let mostBytes = 8 << 20

    private let state = Mutex(State())
    private let sampler: Sampler
    /// `ResourceSpans` but for its spans.
    private let resource: [UInt8]
    private let clock: @Sendable () -> Int64

    public convenience init(_ configuration: Configuration) {
        self.init(configuration) { Time.wallNanoseconds }
    }

    /// `clock`: nanoseconds since 1970.
    package init(_ configuration: Configuration, clock: @escaping @Sendable () -> Int64) {
        sampler = configuration.sampler
        self.clock = clock
        var writer = ProtobufWriter()
        writer.add(1) { resource in
            for (name, value) in configuration.resource { resource.add(1) { $0.add(name, value) } }
        }
        resource = writer.bytes
    }

    // MARK: Spans

    /// Begins a span below `parent`; without one, a trace. Nobody reads a clock for one that is not kept.
    public func begin(
        _ name: @autoclosure () -> String, _ kind: Span.Kind = .internal, below parent: TraceParent? = nil
    ) -> Span {
        guard let parent else {
            let place = newTrace()
            return Span(
                place.isSampled ? name() : "", kind, place: place, parent: nil, start: place.isSampled ? clock() : 0)
        }
        guard sampler.keeps(below: parent) else { return unkept(below: parent) }
        let place = TraceParent(trace: parent.trace, span: newSpanID(), isSampled: true)
        return Span(name(), kind, place: place, parent: parent, start: clock())
    }

    /// Begins a span below what somebody outside says, or a trace without that. It counts as a trace that begins here, or
    /// whoever may send decides what is spent on traces; beyond the limit the trace goes on unkept, by its number.
    public func begin(
        _ name: @autoclosure () -> String, _ kind: Span.Kind = .internal, entering parent: TraceParent?
    ) -> Span {
        guard let parent, sampler.keeps(below: parent), !mayBegin() else {
            return begin(name(), kind, below: parent)
        }
        return unkept(below: parent)
    }

    /// A span that nobody keeps, whatever the sampler says: what it belongs to is not kept either.
    func unkept(below parent: TraceParent) -> Span {
        let place = TraceParent(trace: parent.trace, span: parent.span, isSampled: false)
        return Span("", .internal, place: place, parent: nil, start: 0)
    }

    /// Begins a trace that is kept because what it links to is.
    package func begin(_ name: String, _ kind: Span.Kind, linkedTo others: some Sequence<TraceParent>) -> Span {
        let (high, low) = RandomPool.shared.next()
        let place = TraceParent(trace: TraceID(high: high, low: low | 1), span: newSpanID(), isSampled: true)
        var span = Span(name, kind, place: place, parent: nil, start: clock())
        for other in others { span.link(other) }
        return span
    }

    /// Whether what continues this is kept.
    package func keeps(below parent: TraceParent) -> Bool { sampler.keeps(below: parent) }

    /// Whether those who were told not to keep a trace decide for all who come after them.
    package var isParentBased: Bool { sampler.isParentBased }

    public func end(_ span: consuming Span) {
        guard span.isRecording else { return }
        var writer = ProtobufWriter(capacity: 1024)
        span.write(to: &writer, end: clock())
        let wake = state.withLock { state -> (@Sendable () -> Void)? in
            guard state.figures.waitingBytes + writer.bytes.count <= Self.mostBytes else {
                state.figures.lost[.full, default: 0] += 1
                return nil
            }
            state.figures.waitingBytes += writer.bytes.count
            state.current.spans += writer.bytes
            state.current.count += 1
            guard state.current.spans.count >= Self.chunkBytes else { return nil }
            state.full.append(state.current)
            state.current = Chunk()
            return state.full.count == 1 ? state.wake : nil
        }
        wake?()
    }

    private func newTrace() -> TraceParent {
        let (high, low) = RandomPool.shared.next()
        let trace = TraceID(high: high, low: low | 1)
        let isSampled = sampler.keeps(trace) && mayBegin()
        // Of a trace that is not kept nobody looks for the span: it only must not be 0.
        return TraceParent(trace: trace, span: isSampled ? newSpanID() : high | 1, isSampled: isSampled)
    }

    private func newSpanID() -> UInt64 { RandomPool.shared.next().0 | 1 }

    /// Whether this second has room for one more trace.
    private func mayBegin() -> Bool {
        let second = clock() / 1_000_000_000
        return state.withLock { state in
            if state.second != second {
                state.second = second
                state.begun = 0
            }
            guard state.begun < sampler.perSecond else {
                state.figures.limited += 1
                return false
            }
            state.begun += 1
            return true
        }
    }

    // MARK: For who sends them

    /// Whom to tell that there is enough to be sent at once.
    func whenFull(_ wake: (@Sendable () -> Void)?) { state.withLock { $0.wake = wake } }

    /// What is to be sent next, oldest first.
    func takeChunk() -> Chunk? {
        state.withLock { state in
            if !state.full.isEmpty { return state.full.removeFirst() }
            guard state.current.count > 0 else { return nil }
            defer { state.current = Chunk() }
            return state.current
        }
    }

    /// It was not taken, and is the next again.
    func putBack(_ chunk: Chunk) { state.withLock { $0.full.insert(chunk, at: 0) } }

    /// What was taken is sent, but for so many spans that the collector did not want, or given up for a reason.
    func release(_ chunk: Chunk, unwanted: Int = 0, lost: Loss? = nil) {
        state.withLock { state in
            state.figures.waitingBytes -= chunk.spans.count
            if let lost { return state.figures.lost[lost, default: 0] += chunk.count }
            let unwanted = min(max(0, unwanted), chunk.count)
            if unwanted > 0 { state.figures.lost[.refused, default: 0] += unwanted }
            state.figures.sent += chunk.count - unwanted
        }
    }

    package var figures: Figures { state.withLock { $0.figures } }

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
