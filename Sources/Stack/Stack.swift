internal import Contracts
internal import Glibc
internal import Kafka
internal import Model
internal import Platform
internal import Synchronization

/// The fleet of one machine: servers, edge and workers, started in their order, watched, scaled, and ended in their order.
///
/// Three threads: the main one starts and reaps processes (`Supervisor`), one decides (`conduct`), one asks the processes
/// whether they are ready (`Prober`). What others may know of the stack stands in stack.json.
package final class Stack: Sendable {
    let options: StackOptions
    let folder: StackFolder
    let supervisor: Supervisor
    let screen: Screen
    let plan: StackPlan
    let prober: Prober
    private let state: Mutex<State>
    private let began = Time.monotonicMilliseconds

    private struct State {
        var scale: [String: Int]
        var file = RunningFile()
        var isStopping = false
        var isReady = false
        var fault: StackFault?
        /// Whether stack.json could not be written the last time.
        var isBehind = false
    }

    /// Somebody wants it to end that has not begun.
    private struct Stopped: Error {}

    package init(_ options: StackOptions, _ folder: StackFolder) throws {
        self.options = options
        self.folder = folder
        plan = try StackPlan(options, folder)
        // What libpq would take from the environment is meant for another server. Before there is a second thread.
        if plan.database != nil {
            for name in options.settings.all.keys where name.hasPrefix("PG") { unsafe unsetenv(name) }
        }
        screen = try Screen(showsAll: !options.isDetached)
        supervisor = try Supervisor(logs: folder.logs, screen: screen)
        prober = Prober(supervisor)
        state = Mutex(State(scale: plan.scale))
    }

    /// Runs until it is told to end, or cannot start. To be called on the main thread. Throws why it did not start.
    package func run(signals: Int32) throws {
        let control = try ControlSocket(folder.control) { [self] in answer($0) }
        let admin = try AdminPages(self)
        write { [plan, options] file in
            file.admin = admin.address
            file.settings = plan.places
            file.guests = options.guests.map(\.topics)
        }
        let conductor = try OSThread(name: "conductor") { [self] in conduct() }
        let asking = try OSThread(name: "prober") { [prober] in prober.run() }
        supervisor.run(signals: signals) { count in count == 1 ? stop() : supervisor.kill() }
        conductor.join()
        prober.stop()
        asking.join()
        admin.stop()
        control.close()
        unsafe _ = unlink(folder.file)
        let fault = state.withLock { $0.fault }
        screen.tell(fault == nil ? "stopped" : "nothing runs any more")
        screen.close()
        if let fault { throw fault }
    }

    package func stop() { state.withLock { $0.isStopping = true } }

    private var isStopping: Bool { state.withLock { $0.isStopping } }
    var isReady: Bool { state.withLock { $0.isReady && !$0.isStopping } }

    // MARK: The life of a stack

    private func conduct() {
        do {
            try boot()
            announce()
            while !isStopping {
                reconcile()
                usleep(50_000)
            }
        } catch is Stopped {
            supervisor.tell("not started: somebody wants it to end")
        } catch {
            supervisor.tell("\(error)")
            state.withLock { $0.fault = error as? StackFault ?? StackFault("\(error)") }
        }
        end()
        supervisor.finish()
    }

    private func boot() throws {
        if !plan.named.isEmpty {
            let verb = plan.named.count == 1 ? "is" : "are"
            supervisor.tell(
                "\(plan.named.joined(separator: ", ")) \(verb) set: what is named there is used, and none of it is started here"
            )
        }
        try plan.clearPostgres()
        let setup = plan.postgresSetup
        for part in plan.first { supervisor.start(part) }
        if setup == nil { try startPostgres() }
        // Topics and edge while a new cluster is being made, which takes longest.
        try wait("the broker", 60) { plan.isBrokerThere }
        try applyTopics()
        supervisor.start(plan.edge)
        try wait("redis", 60) { plan.isRedisThere }
        if let setup {
            try wait("a new Postgres cluster", 120) { supervisor.state(setup.name)?.end == .code(0) }
            supervisor.stop(setup.name)
            try startPostgres()
        }
        if plan.postgres != nil {
            try wait("postgres", 120) { plan.isPostgresThere }
            try blocking { [plan] in try await plan.preparePostgres() }
        }
        supervisor.start(plan.console)
        reconcile()
        try wait("edge, console and workers", 120) { prober.allReady(supervisor.states) && hasAll }
        if options.hasDemo { supervisor.start(plan.demo) }
    }

    private func startPostgres() throws {
        guard let postgres = plan.postgres else { return }
        try plan.allowPostgres()
        supervisor.start(postgres)
    }

    /// Waits for a part of the start. One that dies again and again will not become better by waiting.
    private func wait(_ what: String, _ seconds: Int64, until isThere: () -> Bool) throws {
        let limit = Time.monotonicMilliseconds + seconds * 1000
        while !isThere() {
            if isStopping { throw Stopped() }
            for state in supervisor.states {
                let tries = state.role == .postgres ? 6 : state.role == .setup ? 1 : 4
                let isOver = state.role == .setup ? state.end != nil && state.end != .code(0) : state.deaths >= tries
                guard isOver, let end = state.end else { continue }
                throw StackFault(
                    (["\(state.name) does not start (it \(end)):"] + state.lastLines.map { "  \($0)" }).joined(
                        separator: "\n"))
            }
            guard Time.monotonicMilliseconds < limit else {
                let said = prober.complaints(supervisor.states)
                throw StackFault(
                    "waited \(seconds) s for \(what)\(said.isEmpty ? "" : ": \(said.joined(separator: "; "))"): "
                        + "flotilla logs tells more")
            }
            write { _ in }
            usleep(10_000)
        }
    }

    private func applyTopics() throws {
        for catalog in plan.catalogs {
            let limit = Time.monotonicMilliseconds + 120_000
            while true {
                do {
                    let (changes, losses) = try blocking { [plan] in try await plan.apply(catalog) }
                    if changes > 0 { supervisor.tell("\(Words.count(changes, "topic")) made or changed") }
                    for loss in losses {
                        supervisor.tell(
                            "left as it is: \(loss): \(options.command) topics apply --shorten-retention does it")
                    }
                    break
                } catch  where !(error is StackFault) && !isStopping && Time.monotonicMilliseconds < limit {
                    // A disk that is busy makes a broker slow; it is harmless to ask again.
                    supervisor.tell("topics are not made yet: \(error)")
                    usleep(500_000)
                }
            }
        }
    }

    // MARK: Scaling

    /// Whether as many workers run as are wanted.
    private var hasAll: Bool {
        let (scale, states) = (state.withLock { $0.scale }, supervisor.states)
        return scale.allSatisfy { handler, count in
            states.count { $0.handler == handler && $0.isWanted && $0.process != nil } == count
        }
    }

    /// Starts the workers that are missing and ends those that are too many.
    private func reconcile() {
        let scale = state.withLock { $0.scale }
        let known = Dictionary(supervisor.states.map { ($0.name, $0) }) { first, _ in first }
        for (handler, count) in scale.sorted(by: { $0.key < $1.key }) {
            for number in stride(from: 1, through: count, by: 1) where known["\(handler)-\(number)"] == nil {
                supervisor.start(plan.worker(handler, number))
            }
        }
        for state in known.values where state.role == .worker && state.isWanted {
            guard let handler = state.handler, let number = Int(state.name.dropFirst(handler.count + 1)) else {
                continue
            }
            if number > scale[handler] ?? 0 { supervisor.stop(state.name) }
        }
        write { _ in }
    }

    /// What the control socket is asked.
    private func answer(_ request: ControlRequest) -> ControlAnswer {
        switch request {
        case .scale(let targets):
            do throws(StackFault) {
                let wanted = try plan.handlers(of: targets)
                let before = state.withLock { state in
                    defer { state.scale.merge(wanted) { $1 } }
                    return state.scale
                }
                for (handler, count) in wanted.sorted(by: { $0.key < $1.key }) where before[handler] != count {
                    supervisor.tell("\(handler): \(before[handler] ?? 0) → \(Words.count(count, "worker"))")
                }
                return .scaled(wanted.mapValues { $0 })
            } catch { return .refused(error.description) }
        }
    }

    // MARK: The end

    private func end() {
        write { $0.state = .stopping }
        supervisor.tell("stopping: what is under way is finished; once more ends it at once")
        // Whoever takes events first, whoever keeps them last.
        for roles: Set<Part.Role> in [[.setup, .demo, .edge, .console], [.worker], [.broker, .redis, .postgres]] {
            for state in supervisor.states where roles.contains(state.role) { supervisor.stop(state.name) }
            while supervisor.states.contains(where: { roles.contains($0.role) }) { usleep(10_000) }
        }
    }

    // MARK: What others know

    /// Notes a change in stack.json, when it is one.
    private func write(_ change: (inout RunningFile) -> Void) {
        let processes = supervisor.states.compactMap { state in
            state.process.map {
                RunningFile.Process(
                    name: state.name, role: state.role.rawValue, handler: state.handler, id: $0,
                    admin: state.admin.map { "127.0.0.1:\($0)" })
            }
        }
        let new = state.withLock { state -> RunningFile? in
            let before = state.file
            change(&state.file)
            state.file.processes = processes
            return state.file == before && !state.isBehind && Files.exists(folder.file) ? nil : state.file
        }
        guard let new else { return }
        var fault: SystemError?
        do throws(SystemError) { try new.write(folder.file) } catch { fault = error }
        let wasBehind = state.withLock { state in
            defer { state.isBehind = fault != nil }
            return state.isBehind
        }
        if let fault, !wasBehind { supervisor.tell("\(fault): other commands do not see what changed") }
    }

    private func announce() {
        let seconds = Double((Time.monotonicMilliseconds - began) / 100) / 10
        state.withLock { $0.isReady = true }
        write { $0.state = .ready }
        screen.tell(plan.greeting(after: seconds))
        if options.isDetached { screen.leave() }
    }

    var obstacles: [String] { isReady ? prober.complaints(supervisor.states) : ["starting or stopping"] }
}
