package import HTTP
package import JSON
internal import Platform
internal import Synchronization

/// How what a process depends on is: asked when somebody wants to know, all at once, and remembered for a second.
package final class Health: Sendable {
    private let version: String
    private let probes: [Probe]
    private let standsBy: @Sendable () -> Bool
    private let obstacles: @Sendable () -> [String]
    private let began = Time.monotonicMilliseconds
    private let state = Mutex(State())

    /// One dependency, and how it is asked.
    package struct Probe: Sendable {
        let name: String
        let isNeeded: Bool
        /// Whether it is only told, whatever the answer.
        let isTold: Bool
        let ask: @Sendable () async -> Answer

        package struct Answer: Sendable {
            /// What is wrong; nil when nothing is.
            package var detail: String?
            /// How long it took, where that is known better than by waiting for the answer.
            package var milliseconds: Int64?
            /// What else is told of it.
            package var facts: @Sendable (inout JSONWriter) -> Void

            package init(
                _ detail: String? = nil, milliseconds: Int64? = nil,
                facts: @escaping @Sendable (inout JSONWriter) -> Void = { _ in }
            ) {
                (self.detail, self.milliseconds, self.facts) = (detail, milliseconds, facts)
            }
        }

        /// `ask` says what is wrong, or nil; it is to have a deadline of its own. What is not `isNeeded` may be away and
        /// the process is ready all the same.
        package init(_ name: String, isNeeded: Bool = true, ask: @escaping @Sendable () async -> String?) {
            self.name = name
            self.isNeeded = isNeeded
            isTold = false
            self.ask = { Answer(await ask()) }
        }

        /// What is told beside the dependencies, and never keeps the process from being well.
        package init(telling name: String, ask: @escaping @Sendable () async -> Answer) {
            (self.name, self.ask) = (name, ask)
            (isNeeded, isTold) = (false, true)
        }
    }

    private struct State {
        var last: (at: Int64, report: HealthReport)?
        var asking: Task<HealthReport, Never>?
        /// Questions that have no answer yet, by the number of the probe.
        var questions: [Int: Task<Probe.Answer, Never>] = [:]
        var isStopping = false
    }

    private static let memory: Int64 = 1000
    /// Longer than any probe takes by itself, unless what it asks with is busy with something else that hangs.
    private static let patience: Duration = .seconds(3)

    /// `obstacles`: what else keeps the process from serving at this moment. `standsBy`: whether another process does the
    /// work at the moment, and this one would at once.
    package init(
        version: String, probes: [Probe], obstacles: @escaping @Sendable () -> [String] = { [] },
        standsBy: @escaping @Sendable () -> Bool = { false }
    ) {
        self.version = version
        self.probes = probes
        self.standsBy = standsBy
        self.obstacles = obstacles
    }

    /// From now on not ready: whoever balances load is to look elsewhere.
    package func stop() { state.withLock { $0.isStopping = true } }

    /// Many that ask at once ask once.
    package func report() async -> HealthReport {
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
        report.obstacles = obstacles()
        report.standsBy = standsBy()
        report.uptime = (Time.monotonicMilliseconds - began) / 1000
        return report
    }

    /// A question that hangs is not asked again beside itself.
    private func answer(of probe: Probe, _ number: Int) async -> Probe.Answer {
        let question = state.withLock { state in
            let question =
                state.questions[number]
                ?? Task {
                    let answer = await probe.ask()
                    self.state.withLock { $0.questions[number] = nil }
                    return answer
                }
            state.questions[number] = question
            return question
        }
        let none = Probe.Answer("no answer within \(Self.patience)")
        let (answers, told) = AsyncStream.makeStream(of: Probe.Answer.self)
        Task { told.yield(await question.value) }
        let limit = Task {
            try? await Task.sleep(for: Self.patience)
            told.yield(none)
        }
        defer { limit.cancel() }
        for await answer in answers { return answer }
        return none
    }

    private func ask() async -> HealthReport {
        let found = await withTaskGroup(of: (Int, HealthReport.Dependency).self) { group in
            for (index, probe) in probes.enumerated() {
                group.addTask {
                    let start = Time.monotonicMilliseconds
                    let answer = await self.answer(of: probe, index)
                    let took = answer.milliseconds ?? Time.monotonicMilliseconds - start
                    return (
                        index,
                        HealthReport.Dependency(
                            name: probe.name, detail: answer.detail, milliseconds: took, isNeeded: probe.isNeeded,
                            isTold: probe.isTold, facts: answer.facts)
                    )
                }
            }
            var found: [(Int, HealthReport.Dependency)] = []
            for await one in group { found.append(one) }
            return found
        }
        let report = HealthReport(version: version, dependencies: found.sorted { $0.0 < $1.0 }.map(\.1))
        state.withLock { state in
            state.last = (Time.monotonicMilliseconds, report)
            state.asking = nil
        }
        return report
    }
}

/// What /healthz and /readyz tell.
package struct HealthReport: Sendable {
    let version: String
    let dependencies: [Dependency]
    var uptime: Int64 = 0
    var isStopping = false
    var obstacles: [String] = []
    var standsBy = false

    struct Dependency: Sendable {
        let name: String
        /// What is wrong; nil when nothing is.
        let detail: String?
        let milliseconds: Int64
        /// Whether nothing can be done without it.
        let isNeeded: Bool
        let isTold: Bool
        let facts: @Sendable (inout JSONWriter) -> Void
    }

    init(version: String, dependencies: [Dependency]) {
        self.version = version
        self.dependencies = dependencies
    }

    private var isFit: Bool {
        !isStopping && obstacles.isEmpty && dependencies.allSatisfy { $0.isTold || $0.detail == nil }
    }

    /// The answer to /healthz.
    package var response: HTTPResponse {
        var json = JSONWriter()
        json.object { json in
            json.member("status", isFit ? "ok" : isStopping ? "stopping" : "failed")
            json.member("version", version)
            json.member("uptime", uptime)
            if standsBy { json.member("stands_by", true) }
            if !obstacles.isEmpty { json.array("obstacles") { list in for text in obstacles { list.append(text) } } }
            json.object("dependencies") { json in
                for dependency in dependencies {
                    json.object(dependency.name) { json in
                        json.member(
                            "status", dependency.detail == nil ? "ok" : dependency.isTold ? "unknown" : "failed")
                        json.member("latency_ms", dependency.milliseconds)
                        dependency.facts(&json)
                        if let detail = dependency.detail { json.member("detail", detail) }
                    }
                }
            }
        }
        return HTTPResponse(isFit ? 200 : 503, "application/json", json.bytes)
    }

    /// The answer to /readyz.
    package var readiness: HTTPResponse {
        if isStopping { return .text(503, "stopping\n") }
        let missing = dependencies.filter { $0.isNeeded && $0.detail != nil }
        let reasons = missing.map { "\($0.name): \($0.detail ?? "")" } + obstacles
        return reasons.isEmpty ? .text(200, "ready\n") : .text(503, reasons.joined(separator: "\n") + "\n")
    }
}
