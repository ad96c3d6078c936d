import Redis
import TestServers
import TestSupport
import Testing

@Suite(.inTurns) struct RedisClientTests {
    private func withClient<Result>(
        _ server: RedisServer, _ change: (inout RedisConfiguration) -> Void = { _ in },
        _ body: (RedisClient) async throws -> Result
    ) async throws -> Result {
        var configuration = try RedisConfiguration(url: server.url)
        change(&configuration)
        let client = try RedisClient(configuration)
        defer { client.close() }
        return try await body(client)
    }

    private func fault(_ body: () async throws -> Void) async -> RedisFault? {
        do {
            try await body()
            return nil
        } catch { return error as? RedisFault }
    }

    @Test func whatIsWrittenIsReadWhateverItsBytes() async throws {
        try await withClient(RedisServer()) { client in
            let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
            var set = RedisCommand("SET", "key\r\n$3")
            set.add(bytes)
            let answer1 = try await client.execute(set)
            #expect(answer1 == .status("OK"))
            let answer2 = try await client.execute(RedisCommand("GET", "key\r\n$3"))
            #expect(answer2.bytes == bytes)
            let answer3 = try await client.execute(RedisCommand("GET", ""))
            #expect(answer3 == .null)
            let answer4 = try await client.execute(RedisCommand("INCR", "n"))
            #expect(answer4.integer == 1)
        }
    }

    @Test func manyQuestionsAtOnceGetTheirOwnAnswers() async throws {
        try await withClient(RedisServer()) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        let answers = try await client.pipeline(
                            (0..<7).map { RedisCommand("ECHO", "\(number)/\($0)") })
                        #expect(answers.map(\.text) == (0..<7).map { "\(number)/\($0)" })
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func anErrorIsTypedAndStandsAlone() async throws {
        try await withClient(RedisServer()) { client in
            let answers = try await client.pipeline([
                RedisCommand("SET", "a", "1"), RedisCommand("NONSENSE"), RedisCommand("GET", "a"),
            ])
            #expect(answers[2].text == "1")
            let fault5 = await fault { _ = try await client.execute(RedisCommand("NONSENSE")) }
            #expect(fault5?.kind == .refused)
            let fault6 = await fault { _ = try await client.execute(RedisCommand("EVALSHA", "00", "0")) }
            #expect(fault6?.kind == .noScript)
        }
    }

    @Test func aScriptIsTaughtToAServerThatForgotIt() async throws {
        try await withClient(RedisServer()) { client in
            let script = RedisScript("return ARGV[1] .. KEYS[1]")
            for _ in 0..<2 {
                let answer = try await client.evaluate(script, keys: ["k"]) { $0.add("a") }
                #expect(answer.text == "ak")
                _ = try await client.execute(RedisCommand("SCRIPT", "FLUSH"))
            }
        }
    }

    @Test func aWrongPasswordIsDeniedAndNeverShown() async throws {
        let server = try RedisServer(["--requirepass", "secret"])
        let refused = try await withClient(server, { $0.password = "hunter2" }) { client in
            await fault { _ = try await client.execute(RedisCommand("PING")) }
        }
        #expect(refused?.kind == .denied)
        #expect(refused.map { !"\($0)".contains("hunter2") } == true)
        #expect(!"\(try RedisConfiguration(url: "redis://u:hunter2@h/1"))".contains("hunter2"))
        let answer = try await withClient(server, { $0.password = "secret" }) { client in
            try await client.execute(RedisCommand("PING"))
        }
        #expect(answer == .status("PONG"))
    }

    @Test func aServerThatIsKilledIsToldAndComesBack() async throws {
        let server = try RedisServer()
        try await withClient(server) { client in
            _ = try await client.execute(RedisCommand("PING"))
            server.kill()
            let fault7 = await fault { _ = try await client.execute(RedisCommand("PING")) }
            #expect(fault7?.kind == .unreachable)
            try server.start()
            var fault: RedisFault?
            let clock = ContinuousClock()
            let end = clock.now + .seconds(20)
            repeat {
                fault = await self.fault { _ = try await client.execute(RedisCommand("PING")) }
            } while fault != nil && clock.now < end
            #expect(fault == nil)
        }
    }

    @Test func aServerThatHangsEndsByTheDeadline() async throws {
        let server = try RedisServer()
        try await withClient(server, { $0.answerTimeout = .milliseconds(300) }) { client in
            _ = try await client.execute(RedisCommand("PING"))
            server.freeze()
            let fault = await fault { _ = try await client.execute(RedisCommand("INCR", "n")) }
            #expect(fault?.kind == .unreachable)
            #expect(fault?.mayHaveHappened == true)
            server.goOn()
        }
    }

    @Test func aFullServerSaysSo() async throws {
        let server = try RedisServer(["--maxmemory", "2mb", "--maxmemory-policy", "noeviction"])
        try await withClient(server) { client in
            var fault: RedisFault?
            for number in 0..<100 where fault == nil {
                var set = RedisCommand("SET", "k\(number)")
                set.add([UInt8](repeating: 1, count: 100_000))
                fault = await self.fault { [set] in _ = try await client.execute(set) }
            }
            #expect(fault?.kind == .full)
        }
    }

    @Test(arguments: [
        ("redis://h", "redis://h:6379/0"), ("redis://h:1/3", "redis://h:1/3"), ("rediss://[::1]:7", "rediss://::1:7/0"),
        ("unix:///a/b?db=2", "unix:///a/b?db=2"), ("redis://:p%40@h/1", "redis://h:1/1"),
    ])
    func aURLIsRead(_ url: String, _ expected: String) throws {
        let configuration = try RedisConfiguration(url: url)
        if url.contains("p%40") {
            #expect(configuration.password == "p@")
        } else {
            #expect(configuration.description == expected)
        }
    }

    @Test(arguments: [
        "", "redis", "http://h", "redis://", "redis://h:0", "redis://h:x", "redis://h/x", "unix://a", "redis://h?x=1",
        "redis://%zz@h", "redis://h?ca",
    ])
    func anotherURLIsRefused(_ url: String) {
        #expect(throws: RedisFault.self) { try RedisConfiguration(url: url) }
    }
}
