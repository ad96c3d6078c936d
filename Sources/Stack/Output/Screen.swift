internal import Glibc
internal import Platform
internal import Synchronization

/// What the person before the terminal sees: the lines of all processes, each with its name.
///
/// A thread of its own writes them. A terminal that takes nothing (somebody holds it with Ctrl-S) may not bring the
/// fleet to a stop: what does not fit meanwhile is left out, and that is said. The files have it all.
final class Screen: @unchecked Sendable {
    // Unchecked: `thread` is written once, before anybody else knows this object.
    private var thread: OSThread?
    private let file: Int32
    private let isColoured: Bool
    /// Whether the lines of processes are shown too.
    private let showsAll: Bool
    private let state = Mutex(State())
    private let condition: Doorbell

    private struct State {
        var pending: [UInt8] = []
        var dropped = 0
        var isOver = false
        var width = 9
    }

    private static let limit = 1 << 20
    /// As our own lines are called.
    static let own = "flotilla"

    init(_ file: Int32 = 1, showsAll: Bool = true) throws(SystemError) {
        self.file = file
        self.showsAll = showsAll
        isColoured = isatty(file) == 1
        condition = try Doorbell()
        thread = try OSThread(name: "screen") { [unowned self] in write() }
    }

    /// A line of a process.
    func show(_ name: String, _ line: String) {
        guard showsAll || name == Self.own else { return }
        state.withLock { state in
            state.width = max(state.width, name.utf8.count)
            Self.add(ScreenLine.text(name, line, width: state.width, isColoured: isColoured), &state)
        }
        condition.ring()
    }

    /// A line of our own.
    func tell(_ text: String) {
        state.withLock { Self.add(text, &$0) }
        condition.ring()
    }

    private static func add(_ text: String, _ state: inout State) {
        guard state.pending.count + text.utf8.count < limit else {
            state.dropped += 1
            return
        }
        if state.dropped > 0 {
            state.pending += Array("… \(state.dropped) lines were not shown: flotilla logs has them\n".utf8)
            state.dropped = 0
        }
        state.pending += Array(text.utf8)
        state.pending.append(UInt8(ascii: "\n"))
    }

    /// Writes what is left, for two seconds at most, and ends.
    func close() {
        state.withLock { $0.isOver = true }
        condition.ring()
        for _ in 0..<200 where state.withLock({ !$0.pending.isEmpty }) { usleep(10_000) }
        guard state.withLock({ $0.pending.isEmpty }) else { return }
        thread?.join()
        thread = nil
    }

    /// Writes what is left, and from then on nothing: whoever read it has gone on to something else.
    func leave() {
        for _ in 0..<200 where state.withLock({ !$0.pending.isEmpty }) { usleep(10_000) }
        let nothing = unsafe open("/dev/null", O_WRONLY)
        guard nothing >= 0 else { return }
        for file: Int32 in [1, 2] { dup2(nothing, file) }
        Glibc.close(nothing)
    }

    private func write() {
        while true {
            condition.silence()
            let (bytes, isOver) = state.withLock { state in
                (state.pending, state.isOver)
            }
            if !bytes.isEmpty {
                put(bytes)
                state.withLock { $0.pending.removeFirst(bytes.count) }
            } else if isOver {
                return
            } else {
                var waiting = pollfd(fd: condition.fileDescriptor, events: Int16(POLLIN), revents: 0)
                unsafe _ = poll(&waiting, 1, -1)
            }
        }
    }

    private func put(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR || errno == EAGAIN {
                usleep(10_000)
                continue
            }
            // Nobody reads it any more.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
