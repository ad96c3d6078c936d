internal import Glibc
internal import JSON
internal import Platform
internal import Synchronization

/// What a running stack can be asked to do.
package enum ControlRequest: Hashable, Sendable {
    /// So many workers for a handler, or for everybody who reads a topic.
    case scale([String: Int])

    init?(_ line: String) {
        guard let root = try? JSONDocument(parsing: line).root, let scale = root["scale"] else { return nil }
        var targets: [String: Int] = [:]
        for member in scale.members {
            guard let count = member.value.int64 else { return nil }
            targets[member.name] = Int(clamping: count)
        }
        self = .scale(targets)
    }

    var line: String {
        var writer = JSONWriter()
        writer.object { json in
            switch self {
            case .scale(let targets):
                json.object("scale") { json in for (name, count) in targets { json.member(name, count) } }
            }
        }
        return writer.text
    }
}

package enum ControlAnswer: Hashable, Sendable {
    case scaled([String: Int])
    case refused(String)

    init?(_ line: String) {
        guard let root = try? JSONDocument(parsing: line).root else { return nil }
        if let reason = root["refused"]?.string {
            self = .refused(reason)
        } else if let scaled = root["scaled"] {
            self = .scaled(
                Dictionary(scaled.members.map { ($0.name, Int(clamping: $0.value.int64 ?? 0)) }) { first, _ in first })
        } else {
            return nil
        }
    }

    var line: String {
        var writer = JSONWriter()
        writer.object { json in
            switch self {
            case .scaled(let counts):
                json.object("scaled") { json in for (name, count) in counts { json.member(name, count) } }
            case .refused(let reason): json.member("refused", reason)
            }
        }
        return writer.text
    }
}

/// How a running stack is told something: a line of JSON on a unix socket that only its user reaches, and a line back.
final class ControlSocket: @unchecked Sendable {
    // Unchecked: `thread` is written once, before anybody else knows this object.
    private var thread: OSThread?
    private let file: Int32
    private let path: String
    private let bell: Doorbell

    init(_ path: String, answer: @escaping @Sendable (ControlRequest) -> ControlAnswer) throws(SystemError) {
        self.path = path
        bell = try Doorbell()
        file = try Self.listen(path)
        thread = try OSThread(name: "control") { [file, bell] in
            while true {
                var waiting = [
                    pollfd(fd: file, events: Int16(POLLIN), revents: 0),
                    pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0),
                ]
                unsafe _ = poll(&waiting, 2, -1)
                if waiting[1].revents != 0 { return }
                let client = accept(file, nil, nil)
                guard client >= 0 else { continue }
                Self.patience(client)
                if let line = Line.read(client) {
                    let reply = ControlRequest(line).map(answer) ?? .refused("this is no request: \(line.prefix(100))")
                    Line.write(client, reply.line)
                }
                Glibc.close(client)
            }
        }
    }

    func close() {
        bell.ring()
        thread?.join()
        Glibc.close(file)
        unsafe _ = unlink(path)
    }

    /// Nobody who says nothing keeps the others waiting.
    fileprivate static func patience(_ file: Int32) {
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            unsafe setsockopt(file, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    private static func listen(_ path: String) throws(SystemError) -> Int32 {
        let file = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard file >= 0 else { throw SystemError.last("socket", path) }
        // What is left of a stack that was killed; whoever holds the lock may take it away.
        unsafe unlink(path)
        let before = umask(0o177)
        let code = unsafe withAddress(path) { unsafe bind(file, $0, $1) }
        umask(before)
        guard code == 0, Glibc.listen(file, 8) == 0 else {
            let error = SystemError.last("listen", path)
            Glibc.close(file)
            throw error
        }
        return file
    }

    fileprivate static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32
    {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let room = unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
            guard path.utf8.count < place.count else { return false }
            unsafe place.copyBytes(from: path.utf8)
            return true
        }
        guard room else {
            errno = ENAMETOOLONG
            return -1
        }
        return unsafe withUnsafePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

extension StackFolder {
    /// Asks the stack that runs here.
    package func ask(_ request: ControlRequest) throws -> ControlAnswer {
        let file = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(file) }
        ControlSocket.patience(file)
        guard unsafe ControlSocket.withAddress(control, { unsafe connect(file, $0, $1) }) == 0 else {
            throw StackFault("no stack runs in \(path): flotilla up starts it")
        }
        Line.write(file, request.line)
        guard let line = Line.read(file), let answer = ControlAnswer(line) else {
            throw StackFault("the stack in \(path) does not answer")
        }
        return answer
    }
}

/// A line on a socket.
private enum Line {
    static func read(_ file: Int32) -> String? {
        var lines = LineSplitter()
        var total = 0
        while total < 65_536 {
            var count = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 4096) { buffer, size in
                count = unsafe Glibc.read(file, buffer.baseAddress, buffer.count)
                size = max(0, count)
            }
            guard count > 0 else { return nil }
            total += count
            if let line = lines.take(bytes).first { return line }
        }
        return nil
    }

    static func write(_ file: Int32, _ line: String) {
        var rest = Array((line + "\n").utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
