internal import Model
internal import Platform
public import Postgres
internal import Synchronization
public import Tracing

/// A handler that also works beside its events: it sends what its transactions have left in its tables, for one.
///
/// Events and ticks must end soon and in one transaction, and the world outside does neither. So a handler writes down
/// what is to be done, `serve` does it, in every process that works for the handler, and what came of it is written down
/// too, for a `tick` to tell.
public protocol ServingHandler: StatefulHandler {
    /// Runs from when the tables are there until `service.isEnding`; returns soon after that, and is cancelled when it
    /// does not. When it throws or returns before, it is called again.
    func serve(_ service: HandlerService) async throws

    /// How many connections to Postgres it needs for that, in each process.
    var connections: Int { get }
}

extension ServingHandler {
    public var connections: Int { 4 }
}

/// What a handler has beside its events, see `ServingHandler`.
public final class HandlerService: Sendable {
    /// Connections of its own, in the handler's schema: what serves never waits for what handles, nor the other way round.
    public let database: PostgresPool
    public let log: Log
    /// The process, for whoever has to tell several apart.
    public let worker: String
    private let standsStill: @Sendable () -> Bool
    private let tracer: Tracer?
    private let state = Mutex(State())

    private struct State {
        var isEnding = false
        var naps: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var lastNap: UInt64 = 0
    }

    package init(
        _ database: PostgresPool, log: Log, worker: String, tracer: Tracer? = nil,
        standsStill: @escaping @Sendable () -> Bool = { false }
    ) {
        self.database = database
        self.log = log
        self.tracer = tracer
        self.worker = worker
        self.standsStill = standsStill
    }

    /// Whether the process is to end: begin nothing new, finish what is under way.
    public var isEnding: Bool { state.withLock { $0.isEnding } }

    /// Whether an operator wants the handler to stand still: begin nothing new.
    public var isPaused: Bool { standsStill() }

    /// Measures something that is done for an event of before, as a span of the trace that was kept with it. Nothing else
    /// is done where there is no such trace: what serves begins none by itself.
    public func withSpan<Value>(
        _ name: String, _ kind: Span.Kind = .internal, in traceParent: String?,
        _ body: (inout Span) async throws -> Value
    ) async rethrows -> Value {
        guard let tracer, let parent = traceParent.flatMap({ TraceParent($0) }) else {
            var none = Span.none
            return try await body(&none)
        }
        return try await tracer.withSpan(name, kind, below: parent, body)
    }

    /// Waits, but not beyond the end.
    public func nap(_ duration: Duration) async {
        let ticket = state.withLock { state in
            state.lastNap += 1
            return state.lastNap
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    guard !state.isEnding, !Task.isCancelled else { return true }
                    state.naps[ticket] = continuation
                    return false
                }
                if isOver { return continuation.resume() }
                Task {
                    try? await Task.sleep(for: duration)
                    self.wake(ticket)
                }
            }
        } onCancel: {
            wake(ticket)
        }
    }

    package func end() {
        let naps = state.withLock { state in
            state.isEnding = true
            defer { state.naps = [:] }
            return state.naps
        }
        for nap in naps.values { nap.resume() }
    }

    private func wake(_ ticket: UInt64) { state.withLock { $0.naps.removeValue(forKey: ticket) }?.resume() }
}
