import Glibc
import Platform
import TestSupport
import Testing

@testable import Stack

/// Real processes: a shell in its own group, started by a loop on a thread of the test.
@Suite struct SupervisorTests {
    private let folder = TemporaryFolder()

    @Test func waitsLongerAndLongerAndNotForEver() {
        var policy = RestartPolicy()
        #expect(
            (0..<10).map { _ in policy.died(after: 10) } == [
                100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000,
            ])
        #expect(policy.died(after: RestartPolicy.settled) == 100)
        #expect(policy.deaths == 1)
        #expect(policy.allDeaths == 11)
    }

    @Test func startsAgainWhatDies() throws {
        try supervised { supervisor in
            supervisor.start(shell("victim", "echo begun $$; exec sleep 1000"))
            // It is there before it has said anything.
            let first = try #require(wait { begun(supervisor.state("victim")) })
            kill(first.number, SIGKILL)
            let second = try #require(wait { begun(supervisor.state("victim")).flatMap { $0 == first ? nil : $0 } })
            #expect(!first.isRunning && second.isRunning)
            #expect(supervisor.state("victim")?.deaths == 1)
            #expect(supervisor.state("victim")?.end == .signal(SIGKILL))
            supervisor.stop("victim")
            #expect(wait { supervisor.state("victim") == nil ? true : nil } == true)
            #expect(!second.isRunning)
        }
        let log = String(
            decoding: try #require(try Files.read(folder.path + "/victim.log", limit: 1 << 20)), as: UTF8.self)
        #expect(log.split(separator: "\n").count { $0.contains(" begun ") } == 2)
    }

    @Test func keepsTheLastWordsOfWhatCannotStart() throws {
        try supervised { supervisor in
            supervisor.start(shell("broken", "echo the disk is full; exit 3"))
            #expect(wait { supervisor.state("broken").flatMap { $0.deaths >= 2 ? $0 : nil } }?.end == .code(3))
            #expect(supervisor.state("broken")?.lastLines.last == "the disk is full")
            supervisor.start(Part("missing", .worker) { (Launch("/nowhere", [], environment: [:]), nil) })
            let end = try #require(wait { supervisor.state("missing")?.end })
            #expect("\(end)".contains("No such file"))
            var once = shell("once", "exit 0")
            once.isOnce = true
            supervisor.start(once)
            #expect(wait { supervisor.state("once")?.end } == .code(0))
            for name in ["broken", "missing", "once"] { supervisor.stop(name) }
        }
    }

    /// One that does not listen, with a child of its own.
    @Test func killsWhatDoesNotEnd() throws {
        try supervised { supervisor in
            var deaf = shell("deaf", "trap '' TERM; sleep 1000 & echo child $!; wait; wait; sleep 1000")
            deaf.grace = 50
            supervisor.start(deaf)
            let line = try #require(wait { supervisor.state("deaf")?.lastLines.first })
            let child = ProcessID(running: try #require(line.split(separator: " ").last.flatMap { Int32($0) }))
            supervisor.stop("deaf")
            #expect(wait { supervisor.state("deaf") == nil ? true : nil } == true)
            #expect(wait { child.isRunning ? nil : true } == true)
        }
        let log = try #require(try Files.read(folder.path + "/flotilla.log", limit: 1 << 20))
        #expect(
            String(decoding: log, as: UTF8.self).contains("deaf was asked to end 0 s ago and has not: it is killed"))
    }

    @Test func endsWhatTheLastOneLeft() throws {
        let pipe = try Pipe()
        defer {
            close(pipe.input)
            close(pipe.output)
        }
        var launch = Launch("/bin/sh", ["-c", "trap '' TERM; while :; do sleep 1000; done"], environment: [:])
        launch.deathSignal = 0
        let stray = try launch.start(output: pipe.input)
        var file = RunningFile()
        // The number of one that lives with the time of one that does not: somebody else's process.
        let other = ProcessID(number: getpid(), began: 1)
        file.processes = [
            .init(name: "worker", role: "worker", handler: nil, id: stray, admin: nil),
            .init(name: "other", role: "worker", handler: nil, id: other, admin: nil),
        ]
        try Leftovers.end(file, within: 50)
        #expect(!stray.isRunning)
        waitpid(stray.number, nil, 0)
    }

    // MARK: Parts

    /// The process of a part that has told its number.
    private func begun(_ state: PartState?) -> ProcessID? {
        state?.process.flatMap { process in
            state?.lastLines.contains { $0.hasSuffix("begun \(process.number)") } == true ? process : nil
        }
    }

    private func shell(_ name: String, _ script: String) -> Part {
        Part(name, .worker) { (Launch("/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"]), nil) }
    }

    /// Runs `body` beside a supervisor, and ends it with all that is left.
    private func supervised(_ body: (Supervisor) throws -> Void) throws {
        let nothing = unsafe open("/dev/null", O_WRONLY)
        defer { close(nothing) }
        let screen = try Screen(nothing)
        let supervisor = try Supervisor(logs: folder.path, screen: screen)
        // Never rings.
        let signals = try Doorbell()
        let loop = try OSThread(name: "loop") { supervisor.run(signals: signals.fileDescriptor) { _ in } }
        defer {
            supervisor.kill()
            supervisor.finish()
            loop.join()
            screen.close()
            withExtendedLifetime(signals) {}
        }
        try body(supervisor)
    }

    private func wait<Value>(_ found: () -> Value?) -> Value? {
        for _ in 0..<3000 {
            if let value = found() { return value }
            usleep(10_000)
        }
        return nil
    }
}
