internal import CLinux
internal import Glibc
internal import Platform

/// A part with its process, when it has one. Of the supervisor's loop alone.
final class Child {
    let part: Part
    private var process: ProcessID?
    private(set) var output: Int32 = -1
    private var admin: UInt16?
    private var lines = LineSplitter()
    private var log: RotatedFile
    private(set) var lastLines: [String] = []
    private var policy = RestartPolicy()
    private var began: Int64 = 0
    /// When it is to be started; nil while it runs, or when it is over.
    private var startAt: Int64?
    private var killAt: Int64?
    private var isStopping = false
    private var isKilled = false
    private var end: ProcessEnd?

    private static let remembered = 6

    init(_ part: Part, log path: String, now: Int64) {
        self.part = part
        log = RotatedFile(path)
        startAt = now
    }

    deinit { if output >= 0 { close(output) } }

    /// It was stopped, and has ended.
    var isGone: Bool { isStopping && process == nil }

    func isDue(_ now: Int64) -> Bool { startAt.map { $0 <= now } ?? false }

    func start(_ now: Int64) throws {
        startAt = nil
        let (launch, admin) = try part.launch()
        let pipe = try Pipe()
        defer { close(pipe.input) }
        _ = flotilla_set_nonblocking(pipe.output)
        do throws(SystemError) {
            process = try launch.start(output: pipe.input)
        } catch {
            close(pipe.output)
            throw error
        }
        if output >= 0 { close(output) }
        output = pipe.output
        self.admin = admin
        began = now
    }

    // MARK: What it says

    func read() -> [String] {
        guard output >= 0 else { return [] }
        var found: [String] = []
        // So much at a time, so that one that says very much does not keep the others waiting.
        for _ in 0..<4 {
            var count = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, size in
                count = unsafe Glibc.read(output, buffer.baseAddress, buffer.count)
                size = max(0, count)
            }
            if count < 0 { break }
            guard count > 0 else {
                close(output)
                output = -1
                break
            }
            found += lines.take(bytes)
        }
        return found
    }

    func rest() -> [String] { read() + (lines.rest().map { [$0] } ?? []) }

    func keep(_ line: String) {
        log.append("\(Timestamp(milliseconds: Time.wallMilliseconds)) \(line)")
        lastLines.append(line)
        if lastLines.count > Self.remembered { lastLines.removeFirst() }
    }

    // MARK: Its end

    /// How it has ended, once.
    func reap() -> ProcessEnd? {
        guard let process else { return nil }
        var status: Int32 = 0
        guard unsafe waitpid(process.number, &status, WNOHANG) == process.number else { return nil }
        return ProcessEnd(status: status)
    }

    /// When it is started again, from now on; nil when it is not.
    func ended(_ end: ProcessEnd, _ now: Int64) -> Int64? {
        process = nil
        killAt = nil
        self.end = end
        guard !isStopping, !part.isOnce else { return nil }
        let delay = policy.died(after: began > 0 ? now - began : 0)
        startAt = now + delay
        return delay
    }

    func stop(_ now: Int64) {
        guard !isStopping else { return }
        isStopping = true
        startAt = nil
        if let process {
            Glibc.kill(process.number, part.stopSignal)
            killAt = now + part.grace
        }
    }

    func kill(_ now: Int64) {
        stop(now)
        isKilled = true
        killAt = now
    }

    /// Whether it has just been killed for not having ended by itself in its time.
    func killWhenLate(_ now: Int64) -> Bool {
        guard let killAt, killAt <= now, let process else { return false }
        // With all that it started: it leads a group of its own.
        Glibc.kill(-process.number, SIGKILL)
        Glibc.kill(process.number, SIGKILL)
        self.killAt = now + 1000
        defer { isKilled = true }
        return !isKilled
    }

    func state(isWanted: Bool) -> PartState {
        PartState(
            name: part.name, role: part.role, handler: part.handler, process: process, admin: admin,
            deaths: policy.deaths, allDeaths: policy.allDeaths, end: end, lastLines: lastLines, isWanted: isWanted)
    }
}
