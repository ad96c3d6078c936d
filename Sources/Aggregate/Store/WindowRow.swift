internal import JSON
internal import Model
package import Platform
package import Postgres

/// A window as it is told and shown: the contract of `metrics.windows`, of `flotilla query` and of the read API.
package struct WindowRow: Sendable, Comparable {
    package let campaign: String
    package let metric: String
    package let step: String
    package let start: Timestamp
    package let dimension: String
    package let value: String
    package let revision: Int
    private let count: Int64
    private let sum: MicrosSum
    private let uniques: Int64
    private let quantiles: [Micros?]

    /// A row of `windows` with its sum as text, `sum`.
    package init(_ row: PostgresRow) throws {
        campaign = try row.value("campaign")
        metric = try row.value("metric")
        step = try row.value("step")
        start = try row.value("window_start")
        dimension = try row.value("dimension")
        value = try row.value("value")
        revision = try row.value("revision")
        count = try row.value("count")
        uniques = try row.value("uniques")
        guard let units = Int128(try row.value("sum", as: String.self)), let sum = MicrosSum(units: units) else {
            throw PostgresFault.unreadable("a sum")
        }
        self.sum = sum
        var quantiles: [Micros?] = []
        for name in ["p50_micros", "p95_micros", "p99_micros"] {
            quantiles.append(try row.optional(name, as: Int64.self).flatMap { Micros(units: $0) })
        }
        self.quantiles = quantiles
    }

    /// What it is called for the ids of the events that tell it.
    var name: String { [campaign, metric, step, "\(start)", dimension, value].joined(separator: "\u{0}") }

    package var json: [UInt8] {
        var writer = JSONWriter()
        writer.object { json in
            json.member("campaign_id", campaign)
            json.member("metric", metric)
            json.member("window_start", start.description)
            json.member("step", step)
            json.object("dimensions") { if !dimension.isEmpty { $0.member(dimension, value) } }
            json.member("count", count)
            json.name("sum")
            json.append(sum)
            json.member("uniques", uniques)
            for (name, quantile) in zip(["p50", "p95", "p99"], quantiles) {
                json.name(name)
                if let quantile { json.append(quantile) } else { json.appendNull() }
            }
            json.member("revision", revision)
        }
        return writer.bytes
    }

    private var order: (Timestamp, ByteText, ByteText, ByteText, ByteText) {
        (start, ByteText(step), ByteText(campaign), ByteText(metric), ByteText("\(dimension)\u{0}\(value)"))
    }

    package static func < (left: WindowRow, right: WindowRow) -> Bool { left.order < right.order }

    package static func == (left: WindowRow, right: WindowRow) -> Bool { left.order == right.order }
}

extension PostgresFault {
    static func unreadable(_ what: String) -> PostgresFault {
        PostgresFault(.statement, "\(what) is stored in a form that this build does not know")
    }

    /// Reads stored bytes. That they cannot be read is no fault of the events that need them: everything waits until the
    /// right build runs, or they are mended.
    static func reading<Value>(_ what: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let fault as SketchFault { throw PostgresFault(.statement, "\(what): \(fault)") }
    }
}
