internal import Glibc
internal import Platform

/// A redis-server of the stack's own: on a unix socket that only its user reaches, every write in its file.
struct PrivateRedis: Sendable {
    let folder: String
    private let program: String
    private let appendfsync: String

    var socket: String { folder + "/redis.sock" }
    var url: String { "unix://\(URLText.encoded(socket))" }

    /// What the broker is asked of the disk, by its own word, is asked of the memory beside it: where no acknowledged
    /// record is lost, no id of what was done is.
    init(folder: String, fsync: String) throws(StackFault) {
        guard let program = Programs.find("redis-server") else {
            throw StackFault(
                "there is no redis-server: apt-get install redis-server (or make setup), or set REDIS_URL to one that runs"
            )
        }
        self.folder = folder
        self.program = program
        appendfsync = ["batch": "always", "interval": "everysec"][fsync] ?? "no"
    }

    func part(_ environment: [String: String]) -> Part {
        let arguments = [
            // No file of settings but this line; no port.
            "--port", "0", "--unixsocket", socket, "--unixsocketperm", "600", "--dir", folder, "--daemonize", "no",
            "--appendonly", "yes", "--appendfsync", appendfsync, "--save", "", "--maxmemory-policy", "noeviction",
            "--loglevel", "warning",
        ]
        var part = Part("redis", .redis) { [program] in
            var launch = Launch(program, arguments, environment: environment)
            launch.deathSignal = SIGTERM
            return (launch, nil)
        }
        part.isShown = false
        return part
    }
}
