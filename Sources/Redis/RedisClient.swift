internal import Platform
internal import Synchronization

/// Redis, over a few connections that come back by themselves.
///
/// All that is asked at the same time goes over in one write. While Redis is away a question fails at once, so that who
/// asks decides what that means; nothing is ever asked twice by itself.
///
/// Important: `close()` before the last reference goes.
public final class RedisClient: Sendable {
    private let connections: [RedisConnection]
    private let configuration: RedisConfiguration
    private let next = Atomic<Int>(0)

    public init(_ configuration: RedisConfiguration, connections count: Int = 1) throws(RedisFault) {
        self.configuration = configuration
        var connections: [RedisConnection] = []
        for _ in 0..<max(1, count) { connections.append(try RedisConnection(configuration)) }
        self.connections = connections
    }

    public func close() {
        for connection in connections { connection.close() }
    }

    /// Asks whether it is there: what is wrong, or nil.
    package func trouble(within limit: Duration) async -> String? {
        do throws(RedisFault) {
            _ = try await execute(RedisCommand("PING"), within: limit)
            return nil
        } catch { return "\(error)" }
    }

    /// Runs one command. An error that Redis answers is thrown.
    public func execute(_ command: RedisCommand, within limit: Duration? = nil) async throws(RedisFault) -> RedisValue {
        let answer = try await pipeline([command], within: limit)[0]
        if case .error(let text) = answer { throw RedisFault(answered: text) }
        return answer
    }

    /// Runs commands in one go, over one connection and in their order. What Redis answers with an error stands in the
    /// answer.
    public func pipeline(
        _ commands: [RedisCommand], within limit: Duration? = nil
    ) async throws(RedisFault) -> [RedisValue] {
        guard !commands.isEmpty else { return [] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(commands.reduce(0) { $0 + $1.bytes.count + 16 * $1.lengths.count })
        for command in commands { command.append(to: &bytes) }
        let deadline = Time.monotonicMilliseconds + (limit ?? configuration.answerTimeout).patience
        let connection = connections[abs(next.add(1, ordering: .relaxed).newValue % connections.count)]
        // Ends with the deadline at the latest, so a cancelled task need not be told apart.
        let result = await withCheckedContinuation { continuation in
            connection.ask(
                RedisConnection.Question(bytes: bytes, answers: commands.count, deadline: deadline) {
                    continuation.resume(returning: $0)
                })
        }
        return try result.get()
    }

    /// Runs a script by its digest, and teaches it to a server that does not know it.
    public func evaluate(
        _ script: RedisScript, keys: [String], _ arguments: (inout RedisCommand) -> Void, within limit: Duration? = nil
    ) async throws(RedisFault) -> RedisValue {
        do {
            return try await execute(script.command("EVALSHA", script.digest, keys, arguments), within: limit)
        } catch  where error.kind == .noScript {
            return try await execute(script.command("EVAL", script.source, keys, arguments), within: limit)
        }
    }
}

/// A script for Redis to run, in Lua.
public struct RedisScript: Sendable {
    public let source: String
    let digest: String

    public init(_ source: String) {
        self.source = source
        let sha1 = Digest(.sha1)
        sha1.start()
        sha1.add(Array(source.utf8))
        digest = sha1.finishBytes().hex(first: 20)
    }

    func command(
        _ verb: String, _ script: String, _ keys: [String], _ arguments: (inout RedisCommand) -> Void
    ) -> RedisCommand {
        var command = RedisCommand(verb, script, "\(keys.count)")
        for key in keys { command.add(key) }
        arguments(&command)
        return command
    }
}
