internal import CPostgres

/// Where a database is, how to get in, and how patient to be. Never prints its password.
public struct PostgresConfiguration: Sendable, CustomStringConvertible {
    /// What libpq understands: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE?option=value`, or `host=… dbname=…`.
    let connection: String
    /// The schema that names without one are looked up in.
    public var schema: String?
    /// What the server shows in `pg_stat_activity`.
    public var applicationName = "flotilla"
    /// How many connections there are at most.
    public var connections = 6
    public var connectTimeout: Duration = .seconds(5)
    /// How long a statement may take; the server ends it then, and a little later we end the connection.
    public var statementTimeout: Duration = .seconds(30)
    /// How long a migration may take, and how long whoever has nothing to do but wait for it waits in one go.
    public var migrationTimeout: Duration = .seconds(3600)
    /// How long to wait for a lock.
    public var lockTimeout: Duration = .seconds(10)
    /// How long to wait for a connection that others use.
    public var leaseTimeout: Duration = .seconds(30)
    /// For tests: asked before each exchange whether it should be lost, and when.
    package var losing: (@Sendable () -> LostExchange?)?

    package enum LostExchange: Sendable {
        /// Before the server heard of it.
        case question
        /// After the server did it.
        case answer
    }

    /// Throws what is wrong with it, in words that do not repeat it.
    public init(url: String) throws(PostgresFault) {
        guard !url.utf8.contains(0), let options = Self.options(of: url) else {
            throw PostgresFault(
                .refused,
                "is no postgresql://USER:PASSWORD@HOST:PORT/DATABASE; what is special in its parts is percent-encoded")
        }
        // libpq would only say so when it connects. Several hosts may have a port each.
        for port in (options["port"] ?? "").split(separator: ",") where UInt16(port).map({ $0 > 0 }) != true {
            throw PostgresFault(.refused, "has a port that is no number from 1 to 65535")
        }
        connection = url
    }

    /// The place without who goes there.
    public var description: String {
        let found = Self.options(of: connection) ?? [:]
        let place = [found["host"], found["port"].map { ":\($0)" }].compactMap { $0 }.joined()
        return "postgres \(place)/\(found["dbname"] ?? "")"
    }

    /// Several hosts in another order, as parameters: the first `last` of them come last. Nothing when there is one.
    ///
    /// libpq goes on to the next host by itself when one refuses, but not when one is silent: how long to wait is ours to
    /// know.
    func hosts(last: Int) -> [(String, String)] {
        let found = Self.options(of: connection) ?? [:]
        return ["host", "hostaddr", "port"].compactMap { name in
            let all = (found[name] ?? "").split(separator: ",", omittingEmptySubsequences: false)
            guard all.count > 1 else { return nil }
            let first = last % all.count
            return (name, (all[first...] + all[..<first]).joined(separator: ","))
        }
    }

    /// What a connection string says, in its parts. Nil when libpq does not understand it.
    private static func options(of text: String) -> [String: String]? {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = unsafe PQconninfoParse(text, &message) else {
            unsafe PQfreemem(message)
            return nil
        }
        defer { unsafe PQconninfoFree(options) }
        var found: [String: String] = [:]
        var next = unsafe options
        while let keyword = unsafe next.pointee.keyword {
            if let value = unsafe next.pointee.val { unsafe found[String(cString: keyword)] = String(cString: value) }
            unsafe next += 1
        }
        return found
    }
}
