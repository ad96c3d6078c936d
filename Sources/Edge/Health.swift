internal import HTTP
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import Redis
internal import Synchronization

/// How what an edge depends on is: asked when somebody wants to know, and remembered for a second.
final class Health: Sendable {
    private let admin: Admin
    private let topics: Set<TopicName>
    private let redis: RedisClient?
    private let version: String
    private let began = Time.monotonicMilliseconds
    private let state = Mutex(State())

    private struct State {
        var last: (at: Int64, report: HealthReport)?
        var asking: Task<HealthReport, Never>?
        var isStopping = false
    }

    private static let memory: Int64 = 1000

    /// `topics`: what clients may publish to, by its names on the broker.
    init(_ admin: Admin, topics: Set<TopicName>, redis: RedisClient?, version: String) {
        self.admin = admin
        self.topics = topics
        self.redis = redis
        self.version = version
    }

    /// From now on not ready: whoever balances load is to look elsewhere.
    func stop() { state.withLock { $0.isStopping = true } }

    /// Many that ask at once ask once.
    func report() async -> HealthReport {
        let now = Time.monotonicMilliseconds
        let (known, asking) = state.withLock { state -> (HealthReport?, Task<HealthReport, Never>?) in
            if let last = state.last, now - last.at < Self.memory { return (last.report, nil) }
            if let asking = state.asking { return (nil, asking) }
            let task = Task { await self.ask() }
            state.asking = task
            return (nil, task)
        }
        var report: HealthReport
        if let known { report = known } else if let asking { report = await asking.value } else { report = await ask() }
        report.isStopping = state.withLock { $0.isStopping }
        report.uptime = (Time.monotonicMilliseconds - began) / 1000
        return report
    }

    private func ask() async -> HealthReport {
        var dependencies = [await askKafka()]
        if let redis { dependencies.append(await ask(redis)) }
        let report = HealthReport(version: version, dependencies: dependencies)
        state.withLock { state in
            state.last = (Time.monotonicMilliseconds, report)
            state.asking = nil
        }
        return report
    }

    private func ask(_ redis: RedisClient) async -> HealthReport.Dependency {
        let start = Time.monotonicMilliseconds
        // Without it keys are not verified, and events are published all the same.
        var dependency = HealthReport.Dependency(name: "redis", detail: nil, milliseconds: 0, isNeeded: false)
        do throws(RedisFault) {
            _ = try await redis.execute(RedisCommand("PING"), within: .seconds(1))
        } catch { dependency.detail = "\(error)" }
        dependency.milliseconds = Time.monotonicMilliseconds - start
        return dependency
    }

    private func askKafka() async -> HealthReport.Dependency {
        let start = Time.monotonicMilliseconds
        var dependency = HealthReport.Dependency(name: "kafka", detail: nil, milliseconds: 0)
        do throws(KafkaFault) {
            let found = try await admin.topics()
            let missing = topics.filter { found[$0] == nil }.sorted()
            if !missing.isEmpty {
                dependency.detail =
                    "the broker has no \(missing.map(\.rawValue).joined(separator: ", ")): run `flotilla topics apply`"
            }
        } catch { dependency.detail = "\(error)" }
        dependency.milliseconds = Time.monotonicMilliseconds - start
        return dependency
    }
}

/// What /healthz tells.
struct HealthReport: Sendable {
    let version: String
    let dependencies: [Dependency]
    var uptime: Int64 = 0
    var isStopping = false

    struct Dependency: Sendable {
        let name: String
        /// What is wrong; nil when nothing is.
        var detail: String?
        var milliseconds: Int64
        /// Whether nothing can be published without it.
        var isNeeded = true
    }

    private var isFit: Bool { !isStopping && dependencies.allSatisfy { $0.detail == nil } }

    /// The answer to /healthz.
    var response: HTTPResponse {
        var json = JSONWriter()
        json.object { json in
            json.member("status", isFit ? "ok" : isStopping ? "stopping" : "failed")
            json.member("version", version)
            json.member("uptime", uptime)
            json.object("dependencies") { json in
                for dependency in dependencies {
                    json.object(dependency.name) { json in
                        json.member("status", dependency.detail == nil ? "ok" : "failed")
                        json.member("latency_ms", dependency.milliseconds)
                        if let detail = dependency.detail { json.member("detail", detail) }
                    }
                }
            }
        }
        return HTTPResponse(isFit ? 200 : 503, "application/json", json.bytes)
    }

    /// The answer to /readyz.
    var readiness: HTTPResponse {
        let missing = dependencies.filter { $0.isNeeded && $0.detail != nil }
        if missing.isEmpty, !isStopping { return .text(200, "ready\n") }
        let reasons = missing.compactMap { dependency in dependency.detail.map { "\(dependency.name): \($0)" } }
        return .text(503, (isStopping ? ["stopping"] : reasons).joined(separator: "\n") + "\n")
    }
}
