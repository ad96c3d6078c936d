public import Model

extension Tracer {
    /// Measures what `body` does, as a span; what it throws marks that as failed.
    public func withSpan<Value>(
        _ name: String, _ kind: Span.Kind = .internal, below parent: TraceParent?,
        _ body: (inout Span) async throws -> Value
    ) async rethrows -> Value {
        var span = begin(name, kind, below: parent)
        do {
            let value = try await body(&span)
            end(span)
            return value
        } catch {
            span.fail("\(error)", type: "\(type(of: error))")
            end(span)
            throw error
        }
    }
}
