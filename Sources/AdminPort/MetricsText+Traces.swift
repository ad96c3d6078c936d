package import Tracing

extension MetricsText {
    /// What became of spans; nothing where nothing is traced.
    package mutating func add(_ tracer: Tracer?) {
        guard let figures = tracer?.figures else { return }
        add(
            "flotilla_spans_sent_total", .counter, "Spans that the collector has taken.", Double(figures.sent))
        add(
            "flotilla_spans_dropped_total", .counter, "Spans that nobody gets to see, by the reason.",
            Tracer.Loss.allCases.map { ([("reason", $0.rawValue)], Double(figures.lost[$0] ?? 0)) })
        add(
            "flotilla_spans_waiting_bytes", .gauge, "What of spans waits for the collector.",
            Double(figures.waitingBytes))
        add(
            "flotilla_traces_limited_total", .counter,
            "Traces that were not begun or taken over because so many were in that second.", Double(figures.limited))
    }
}
