public import Flotilla
internal import JSON
public import Model
public import Platform
public import Postgres

/// Owns the time series: every point is added to its windows of 1 m, 1 h and 1 d, once for all and once for each
/// dimension that windows are kept for. Windows that have ended are told in `metrics.windows`; what comes later amends
/// them, and they are told again with a higher revision.
public struct Aggregate: StatefulHandler {
    public let name: HandlerName = "aggregate"
    public let migrations = [Migration.windows]
    public let ticks = true
    private let dimensions: [String]
    private let guardLimits: CardinalityGuard.Limits
    private let limits: Watermark.Limits

    static let output: TopicName = "metrics.windows"

    /// `settings`: those of its consumer in the topic file. `dimensions`: names, with commas in between, that windows are
    /// kept for; `values`: how many values of each a campaign may have before the rest is `other`; `lateness` and
    /// `idleAfter`: times, as 10s, how long windows wait for what is late, and for a partition that brings nothing.
    public init(settings: [String: String] = [:]) throws(SettingFault) {
        var rest = settings
        dimensions = (rest.removeValue(forKey: "dimensions") ?? "").split(separator: ",")
            .map { $0.drop { $0 == " " } }.map(String.init)
        guard dimensions.count <= 16 else {
            throw SettingFault(name: "dimensions", problem: "has more than 16 names: each multiplies the windows")
        }
        var guardLimits = CardinalityGuard.Limits()
        if let text = rest.removeValue(forKey: "values") {
            guard let number = Int(text), (1...100_000).contains(number) else {
                throw SettingFault(name: "values", value: text, expected: "a number from 1 to 100000")
            }
            guardLimits.values = number
        }
        self.guardLimits = guardLimits
        var limits = Watermark.Limits()
        func time(_ name: String) throws(SettingFault) -> Duration? {
            guard let text = rest.removeValue(forKey: name) else { return nil }
            guard let time = Duration(text: text), time >= .zero, time <= .seconds(86_400) else {
                throw SettingFault(name: name, value: text, expected: "a time to 1d, as 10s")
            }
            return time
        }
        limits.lateness = try time("lateness") ?? limits.lateness
        limits.idleAfter = try time("idleAfter") ?? limits.idleAfter
        self.limits = limits
        if let name = rest.keys.min() { throw SettingFault(name: name, problem: "is no setting of aggregate") }
    }

    public func apply(
        _ events: [Event], _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing] {
        let store = WindowStore(transaction: transaction, partition: events[0].partition)
        let points = try events.map { try Point($0.json(), keeping: dimensions) }
        var guards = try await store.guards(of: Set(points.filter { !$0.dimensions.isEmpty }.map(\.campaign)))
        var grown: Set<String> = []
        var rollups: [RollupKey: Rollup] = [:]
        for point in points {
            var kept: [(name: String, value: String)] = []
            for (name, value) in point.dimensions {
                let answer = guards[point.campaign, default: CardinalityGuard()].admit(
                    value, dimension: name, limits: guardLimits)
                if answer == .new { grown.insert(point.campaign) }
                kept.append((name, answer == .other ? CardinalityGuard.other : value))
            }
            for window in Window.all(containing: point.time) {
                let whole = RollupKey(campaign: point.campaign, metric: point.metric, window: window)
                rollups[whole, default: Rollup()].add(point)
                for (name, value) in kept {
                    var part = whole
                    (part.dimension, part.value) = (name, value)
                    rollups[part, default: Rollup()].add(point)
                }
            }
        }
        try await store.merge(rollups)
        store.save(guards.filter { grown.contains($0.key) })
        // Replays bring what is old by nature: they move no watermark.
        let now = context.now.milliseconds
        let fresh = zip(events, points).filter { !$0.0.topic.rawValue.hasSuffix(".replay") }
        if let newest = fresh.map(\.1.time).max() {
            var watermark = try await store.watermark(limits, now: now)
            watermark.saw(eventTime: newest, now: now)
            store.save(watermark, seenAt: now, now: now)
        }
        return []
    }

    public func tick(
        _ now: Timestamp, _ partition: TopicPartition, _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing] {
        let store = WindowStore(transaction: transaction, partition: partition.partition)
        var watermark = try await store.watermark(limits, now: now.milliseconds)
        let before = watermark.time
        _ = watermark.tick(now: now.milliseconds)
        guard let closed = watermark.time else { return [] }
        if closed != before { store.save(watermark, seenAt: nil, now: now.milliseconds) }
        return try await store.tell(to: closed).map { row in
            Outgoing(
                to: Self.output, named: row.name, revision: row.revision, type: "metric.window", key: row.campaign,
                json: row.json)
        }
    }
}
