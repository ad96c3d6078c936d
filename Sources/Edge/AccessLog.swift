internal import HTTP
internal import Platform
internal import Synchronization

/// One line a second about a request, and how many it stands for: enough to see who asks for what, whatever the load.
final class AccessLog: Sendable {
    private let log: Log
    private let state = Mutex((last: Int64.min, passed: 0))

    init(_ log: Log) { self.log = log }

    func note(_ request: HTTPRequest, _ status: Int?, milliseconds: Int64, now: Int64, _ trace: RequestTrace?) {
        let count = state.withLock { state -> Int? in
            state.passed += 1
            guard state.last == .min || now - state.last >= 1000 else { return nil }
            defer { state = (now, 0) }
            return state.passed
        }
        guard let count else { return }
        var fields: [Log.Field] = [
            ("method", request.method.prefix(16)), ("path", request.path.prefix(200)),
            ("status", status.map { $0 as any CustomStringConvertible } ?? "broken"), ("ms", milliseconds),
            ("of", count),
        ]
        if let trace { fields.append(("trace", trace.id)) }
        log.info("request", fields)
    }
}
