internal import CLinux
internal import Glibc
internal import Platform
internal import Synchronization

/// Starts processes, starts those again that die, keeps what they say, and ends them.
///
/// One loop on the main thread does it: the kernel ends a process with the *thread* that started it, and this one lives
/// as long as we do. Others give orders from their own threads and look at what has become of them. Nothing here waits
/// for anything but the next event.
package final class Supervisor: Sendable {
    private let logs: String
    private let screen: Screen
    private let bell: Doorbell
    private let shared = Mutex(Shared())

    private struct Shared {
        var orders: [Order] = []
        var states: [String: PartState] = [:]
        var isOver = false
        /// Lines of our own that are not in the log yet.
        var said: [String] = []
    }

    private enum Order: Sendable {
        case start(Part)
        case stop(String)
        case kill
    }

    /// `logs`: the folder of what they say.
    init(logs: String, screen: Screen) throws(SystemError) {
        self.logs = logs
        self.screen = screen
        bell = try Doorbell()
    }

    // MARK: Orders, from any thread

    package func start(_ part: Part) {
        give(.start(part)) { states in
            states[part.name] = PartState(name: part.name, role: part.role, handler: part.handler)
        }
    }

    /// Ends one; it is gone from the states when it has ended.
    package func stop(_ name: String) { give(.stop(name)) { $0[name]?.isWanted = false } }

    /// Ends all at once.
    package func kill() { give(.kill) { _ in } }

    /// Has `run` return when nothing runs any more.
    package func finish() {
        shared.withLock { $0.isOver = true }
        bell.ring()
    }

    private func give(_ order: Order, _ note: (inout [String: PartState]) -> Void) {
        shared.withLock { shared in
            shared.orders.append(order)
            note(&shared.states)
        }
        bell.ring()
    }

    package var states: [PartState] { shared.withLock { $0.states.values.sorted { $0.name < $1.name } } }

    package func state(_ name: String) -> PartState? { shared.withLock { $0.states[name] } }

    // MARK: The loop

    /// Goes on until `finish`. `signalled` is told how many signals have come.
    package func run(signals: Int32, signalled: (Int) -> Void) {
        var children: [String: Child] = [:]
        var count = 0
        var log = RotatedFile("\(logs)/\(Screen.own).log")
        while true {
            let (orders, isOver, said) = shared.withLock { shared in
                defer {
                    shared.orders.removeAll()
                    shared.said.removeAll()
                }
                return (shared.orders, shared.isOver, shared.said)
            }
            for line in said.flatMap({ $0.split(whereSeparator: \.isNewline) }) {
                log.append("\(Timestamp(milliseconds: Time.wallMilliseconds)) \(line)")
            }
            for order in orders { obey(order, &children) }
            if isOver, children.isEmpty { return }
            wait(children, signals)
            bell.silence()
            while flotilla_next_signal(signals) != 0 {
                count += 1
                signalled(count)
            }
            let now = Time.monotonicMilliseconds
            for (name, child) in children {
                step(child, now)
                if child.isGone { children[name] = nil }
            }
            publish(children)
        }
    }

    private func obey(_ order: Order, _ children: inout [String: Child]) {
        let now = Time.monotonicMilliseconds
        switch order {
        case .start(let part): children[part.name] = Child(part, log: "\(logs)/\(part.name).log", now: now)
        case .stop(let name): children[name]?.stop(now)
        case .kill: for child in children.values { child.kill(now) }
        }
    }

    private func wait(_ children: [String: Child], _ signals: Int32) {
        var files = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        for child in children.values where child.output >= 0 {
            files.append(pollfd(fd: child.output, events: Int16(POLLIN), revents: 0))
        }
        // What ends closes its output, which wakes us; the rest is for what handed its output on to others.
        unsafe _ = poll(&files, nfds_t(files.count), 100)
    }

    private func step(_ child: Child, _ now: Int64) {
        for line in child.read() { say(child, line) }
        if let end = child.reap() {
            for line in child.rest() { say(child, line) }
            let delay = child.ended(end, now)
            let last = child.part.isShown ? [] : child.lastLines
            if let delay {
                for line in last { screen.show(child.part.name, line) }
                tell("\(child.part.name) \(end): it is started again\(delay > 1000 ? " in \(delay / 1000) s" : "")")
            }
        }
        if child.killWhenLate(now) {
            tell("\(child.part.name) was asked to end \(child.part.grace / 1000) s ago and has not: it is killed")
        }
        if child.isDue(now) {
            do { try child.start(now) } catch {
                let end = ProcessEnd.neverBegan("\(error)")
                say(child, "\(error)")
                _ = child.ended(end, now)
            }
        }
    }

    private func say(_ child: Child, _ line: String) {
        child.keep(line)
        if child.part.isShown { screen.show(child.part.name, line) }
    }

    /// A line of our own.
    package func tell(_ line: String) {
        screen.show(Screen.own, line)
        shared.withLock { $0.said.append(line) }
    }

    private func publish(_ children: [String: Child]) {
        shared.withLock { shared in
            for (name, state) in shared.states {
                if let child = children[name] {
                    shared.states[name] = child.state(isWanted: state.isWanted)
                } else if !shared.orders.contains(where: {
                    if case .start(let part) = $0 { part.name == name } else { false }
                }) {
                    // What was done once is remembered with how it ended; what was stopped is gone.
                    shared.states[name] = nil
                }
            }
        }
    }
}
