internal import Commands
internal import EdgeClient
internal import Glibc
internal import JSON
internal import Platform
internal import Synchronization
internal import WebAPI

extension Command {
    static let publish = Command(
        name: "publish",
        summary: "send lines of JSON to the edge",
        details: """
            One event a line, as POST /v1/events takes them. While the edge cannot take anything it waits and goes on.
            Lines that are refused are told on standard error with their numbers, and then it ends with 1.
            When it ends before the last line it says how to go on: with the same lines and the same key none is lost, and
            those that are sent again have the ids that they had.
            FLOTILLA_EDGE_URL says where the edge is (http://127.0.0.1:8080), FLOTILLA_TOKEN who you are.
            """,
        options: [
            Option(name: "file", short: "f", value: "FILE", fallback: "-", help: "what to send; - is standard input"),
            Option(name: "topic", value: "TOPIC", help: "where to, if not events.raw"),
            Option(
                name: "key", value: "KEY",
                help: "what the ids of events without one follow from; a new one unless it is given"),
            Option(name: "from-line", value: "N", fallback: "1", help: "the line to begin with"),
            Option(name: "json", help: "print JSON"),
        ],
        run: runPublish
    )

    @Sendable private static func runPublish(_ arguments: Arguments) throws -> ExitCode {
        var settings = Settings.fromEnvironment()
        let base = settings.text("FLOTILLA_EDGE_URL") ?? "http://127.0.0.1:8080"
        let token = settings.text("FLOTILLA_TOKEN")
        try settings.check()
        guard let firstLine = Int(arguments["from-line"] ?? "1"), firstLine > 0 else {
            throw arguments.fault("--from-line is the number of a line, from 1")
        }
        let key = arguments["key"] ?? UUIDValue.version7().description
        guard Credentials.isName(key) else {
            throw arguments.fault("--key is letters, digits, dashes, underscores and dots, at most 64")
        }
        let file = arguments["file"] ?? "-"
        let input = file == "-" ? 0 : unsafe open(file, O_RDONLY)
        guard input >= 0 else { throw SystemError.last("open", file) }
        let path = arguments["topic"].map { "/v1/topics/\($0)/events" } ?? "/v1/events"
        let bar = ProgressBar(size: size(of: input))
        var publisher = LinePublisher(url: (base.hasSuffix("/") ? String(base.dropLast()) : base) + path, token: token)
        {
            sleep(UInt32($0))
        }
        (publisher.key, publisher.firstLine) = (key, firstLine)
        let reached = Reached(key: key, firstLine: firstLine)
        publisher.refused = { number, reason in bar.tell("line \(number): \(reason)") }
        let advice = RunningStack.advice(arguments).map { ": \($0)" } ?? ""
        publisher.waiting = { reason in bar.wait(reason + advice) }
        publisher.progress = { progress in
            reached.progress.withLock { $0 = progress }
            bar.show(progress)
        }
        let asJSON = arguments.has("json")
        // Read and sent on a thread of its own, so that Ctrl-C ends it at once.
        let work = Work(publisher: publisher, input: input, file: file)
        let code = try finish {
            let done: LinePublisher.Progress
            do { done = try await work.run() } catch {
                bar.clear()
                throw LinePublisher.Fault(description: "\(Harmless.line("\(error)"))\n\(reached.advice)")
            }
            bar.clear()
            if asJSON {
                var json = JSONWriter()
                json.object { json in
                    json.member("lines", done.lines)
                    json.member("published", done.published)
                    json.member("refused", done.refused)
                }
                print(json.text)
            } else {
                print("\(done.published) published, \(done.refused) refused")
            }
            return done.refused == 0 ? .ok : .failed
        }
        if code.number > ExitCode.signal(0).number { bar.tell(reached.advice) }
        return code
    }

    /// How far it came, for when it ends early. What is sent meanwhile has the same ids when it is sent again.
    private final class Reached: Sendable {
        let progress: Mutex<LinePublisher.Progress>
        private let key: String

        init(key: String, firstLine: Int) {
            self.key = key
            progress = Mutex(LinePublisher.Progress(next: firstLine))
        }

        var advice: String {
            let now = progress.withLock { $0 }
            return
                "\(now.published) published\(now.refused == 0 ? "" : ", \(now.refused) refused"); line \(now.next) is "
                + "the next: go on with --from-line \(now.next) --key \(key)"
        }
    }

    private static func size(of input: Int32) -> Int? {
        var about = stat()
        guard unsafe fstat(input, &about) == 0, about.st_mode & S_IFMT == S_IFREG else { return nil }
        return about.st_size
    }

    private struct Work: @unchecked Sendable {
        // Unchecked: made by one thread and used by another, which nobody does at once.
        let publisher: LinePublisher
        let input: Int32
        let file: String

        func run() async throws -> LinePublisher.Progress {
            let result: Result<LinePublisher.Progress, any Error> = await withCheckedContinuation { continuation in
                do throws(SystemError) {
                    _ = try OSThread(name: "publish") {
                        continuation.resume(returning: Result { try publisher.publish { try read() } })
                    }
                } catch { continuation.resume(returning: .failure(error)) }
            }
            return try result.get()
        }

        private func read() throws(SystemError) -> [UInt8] {
            var failure: SystemError?
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 18) { buffer, count in
                var got = -1
                repeat {
                    got = unsafe Glibc.read(input, buffer.baseAddress, buffer.count)
                } while got < 0 && errno == EINTR
                if got < 0 { failure = SystemError.last("read", file) }
                count = max(0, got)
            }
            if let failure { throw failure }
            return bytes
        }
    }
}

/// A line on a terminal's standard error that tells how far it is. Elsewhere only what is refused, and why it waits.
private struct ProgressBar {
    /// Of the whole; nil when nobody knows.
    let size: Int?
    private let isTerminal = isatty(2) == 1
    private let start = Time.monotonicMilliseconds

    init(size: Int?) { self.size = size }

    func show(_ progress: LinePublisher.Progress) {
        guard isTerminal else { return }
        let seconds = Double(max(1, Time.monotonicMilliseconds - start)) / 1000
        var line = "\(progress.published) published, \(Int(Double(progress.published) / seconds))/s"
        if progress.refused > 0 { line += ", \(progress.refused) refused" }
        if let size, size > 0 {
            let done = min(1, Double(progress.bytes) / Double(size))
            let full = Int(done * 30)
            line =
                "[" + String(repeating: "#", count: full) + String(repeating: " ", count: 30 - full)
                + "] \(Int(done * 100))%  " + line
        }
        write("\r\u{1b}[K" + line)
    }

    func wait(_ reason: String) { tell("waiting: \(reason)") }

    func tell(_ text: String) {
        clear()
        // The edge says what lines have in them, and they come from anybody.
        write(Harmless.line(text) + "\n")
    }

    func clear() { if isTerminal { write("\r\u{1b}[K") } }

    private func write(_ text: String) {
        var text = text
        text.withUTF8 { unsafe _ = Glibc.write(2, $0.baseAddress, $0.count) }
    }
}
