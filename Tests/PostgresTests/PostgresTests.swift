import Platform
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing

/// A pool on a new database of the shared server.
func withPool<Value>(
    _ change: (inout PostgresConfiguration) -> Void = { _ in }, _ body: (PostgresPool) async throws -> Value
) async throws -> Value {
    var configuration = try PostgresConfiguration(url: try PostgresServer.shared.get().database())
    configuration.connections = 2
    change(&configuration)
    let pool = try PostgresPool(configuration)
    defer { pool.close() }
    return try await body(pool)
}

@Suite(.inTurns) struct PostgresTests {
    @Test func valuesComeBackAsTheyWent() async throws {
        try await withPool { pool in
            let odd = "it's \"quoted\" \\ {braces}, NULL, und Grüße 🚢\n"
            let bytes: [UInt8] = [0, 1, 255, 92, 39]
            let time = Timestamp(milliseconds: 1_777_777_777_123)
            let row = try await pool.transaction { transaction in
                try await transaction.query(
                    """
                    SELECT \(odd)::text AS odd, \(bytes: bytes)::bytea AS bytes, \(time)::timestamptz AS time,
                        \(Int64.min)::int8 AS least, \(true)::bool AS yes, \(0.1)::float8 AS tenth,
                        \(nil as String?)::text AS nothing, ''::text AS empty,
                        (\([odd, "", "NULL"])::text[])[1] AS first, cardinality(\([odd, "", "NULL"])::text[]) AS count,
                        (\([1, nil, 3] as [Int?])::int8[])[2] IS NULL AS hole
                    """)[0]
            }
            #expect(try row.value("odd") == odd)
            #expect(try row.value("bytes") == bytes)
            #expect(try row.value("time") == time)
            #expect(try row.value("least") == Int64.min)
            #expect(try row.value("yes", as: Bool.self))
            #expect(try row.value("tenth") == 0.1)
            #expect(try row.optional("nothing", as: String.self) == nil)
            #expect(try row.value("empty") == "")
            #expect(try row.value("first") == odd)
            #expect(try row.value("count") == 3)
            #expect(try row.value("hole", as: Bool.self))
            #expect(throws: PostgresFault.self) { try row.value("nothing", as: String.self) }
            #expect(throws: PostgresFault.self) { try row.value("odd", as: Int.self) }
            #expect(throws: PostgresFault.self) { try row.value("none", as: Int.self) }
        }
    }

    @Test func aStatementIsMadeOfParts() async throws {
        let none: SQL = "true"
        let one: SQL = "n = \(1)"
        // More than nine, so that a number has two digits; a part in a part; the same part twice; dollars of others.
        let many: SQL = "n IN (\(2), \(3), \(4), \(5), \(6), \(7), \(8), \(9), \(10), \(11), \(12))"
        let odd: SQL = "('$1$' || $$ $2 $$ || \("ü$3")) = \("$1$ $2 ü$3")"
        let inner: SQL = "(\(one) OR \(many)) AND \(none) AND \(odd)"
        let whole: SQL =
            "\(one) OR \(inner) AND n < ALL(\([90, 91])::int[]) OR n = \(nil as Int?) OR \(one) OR n = \(20)"
        #expect(
            whole.text
                == "n = $1 OR (n = $2 OR n IN ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)) AND true AND "
                + "('$1$' || $$ $2 $$ || $14) = $15 AND n < ALL($16::int[]) OR n = $17 OR n = $18 OR n = $19")
        try await withPool { pool in
            let found = try await pool.transaction { transaction in
                try await transaction.query(
                    "SELECT n FROM generate_series(\(0), 30) AS n WHERE \(whole) ORDER BY n + \(0)"
                ).map { try $0.value("n", as: Int.self) }
            }
            #expect(found == Array(1...12) + [20])
        }
    }

    @Test func whatFailsLeavesNothing() async throws {
        try await withPool { pool in
            try await pool.transaction { try await $0.execute("CREATE TABLE t (n int PRIMARY KEY CHECK (n < 10))") }
            try await pool.transaction { try await $0.execute("CREATE TABLE keys (text text PRIMARY KEY)") }
            let cases: [(SQL, PostgresFault.Kind)] = [
                ("INSERT INTO t VALUES (1)", .constraint), ("INSERT INTO t VALUES (11)", .constraint),
                ("INSERT INTO t VALUES (\(Int.max))", .data), ("INSERT INTO nowhere VALUES (1)", .statement),
                ("INSERT", .statement), ("SELECT \("a\u{0}b")::text", .data),
                // Too long for an index, as it will be each time.
                ("INSERT INTO keys SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) AS k (n)", .data),
            ]
            for (statement, kind) in cases {
                let fault = await #expect(throws: PostgresFault.self) {
                    try await pool.transaction { transaction in
                        transaction.later("INSERT INTO t VALUES (1)")
                        try await transaction.execute(statement)
                    }
                }
                #expect(fault?.kind == kind, "\(statement.text): \(fault.map { "\($0)" } ?? "")")
                // Noted for later, it fails where the commit is.
                await #expect(throws: PostgresFault.self) {
                    try await pool.transaction { transaction in
                        try await transaction.execute("INSERT INTO t VALUES (2)")
                        transaction.later("INSERT INTO t VALUES (1)")
                        transaction.later(statement)
                    }
                }
            }
            // What a handler swallows is rolled back all the same.
            await #expect(throws: PostgresFault.self) {
                try await pool.transaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    _ = try? await transaction.execute("SELECT 1/0")
                }
            }
            let count = try await pool.transaction { try await $0.query("SELECT count(*) AS n FROM t")[0] }
            #expect(try count.value("n") == 0)
        }
    }

    @Test func whoComesLateHasNoSayAnyMore() async throws {
        try await withPool({ $0.connections = 1 }) { pool in
            let kept = Mutex<PostgresTransaction?>(nil)
            try await pool.transaction { transaction in
                kept.withLock { $0 = transaction }
                try await transaction.execute("CREATE TABLE t (n int)")
            }
            let old = try #require(kept.withLock { $0 })
            try await pool.transaction { transaction in
                try await transaction.execute("INSERT INTO t VALUES (1)")
                // On the same connection, and in nobody's transaction but this one.
                let fault = await #expect(throws: PostgresFault.self) {
                    try await old.execute("INSERT INTO t VALUES (2)")
                }
                #expect(fault?.reason == "the transaction is over")
                await #expect(throws: PostgresFault.self) { try await old.commit() }
                await old.rollBack()
            }
            let row = try await pool.transaction { try await $0.query("SELECT count(*) AS n, sum(n) AS sum FROM t")[0] }
            #expect(try row.value("n") == 1)
            #expect(try row.value("sum") == 1)
        }
    }

    @Test func moreStatementsThanFitAndLargeAnswers() async throws {
        try await withPool { pool in
            let rows = try await pool.transaction { transaction in
                try await transaction.execute("CREATE TABLE t (n int, filling text)")
                for number in 0..<3000 {
                    transaction.later("INSERT INTO t VALUES (\(number), repeat('x', 1000))")
                }
                return try await transaction.query("SELECT n, filling FROM t ORDER BY n")
            }
            #expect(rows.count == 3000)
            #expect(try rows[2999].value("n") == 2999)
            // Many different texts: the server forgets the old ones, and we with it.
            for number in 0..<1200 {
                let one = try await pool.transaction {
                    try await $0.query(SQL(stringLiteral: "SELECT \(number) AS n"))[0]
                }
                #expect(try one.value("n") == number)
            }
        }
    }

    @Test func manyWaitForFewConnections() async throws {
        try await withPool { pool in
            try await pool.transaction { try await $0.execute("CREATE TABLE t (n int)") }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        try await pool.transaction { transaction in
                            async let first = transaction.execute("INSERT INTO t VALUES (\(number))")
                            async let second = transaction.execute("INSERT INTO t VALUES (\(number))")
                            _ = try await (first, second)
                        }
                    }
                }
                try await group.waitForAll()
            }
            let row = try await pool.transaction { try await $0.query("SELECT count(*) AS n FROM t")[0] }
            #expect(try row.value("n") == 200)
        }
    }

    @Test func aStatementThatTakesTooLongEndsAndACancelledOneToo() async throws {
        try await withPool({ $0.statementTimeout = .milliseconds(200) }) { pool in
            let fault = await #expect(throws: PostgresFault.self) {
                try await pool.transaction { try await $0.execute("SELECT pg_sleep(60)") }
            }
            #expect(fault?.kind == .timedOut)
        }
        try await withPool { pool in
            try await pool.transaction { try await $0.execute("CREATE TABLE t (n int)") }
            let asked = Mutex(false)
            let task = Task {
                try await pool.transaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (1)")
                    asked.withLock { $0 = true }
                    try await transaction.execute("SELECT pg_sleep(60)")
                }
            }
            while !asked.withLock({ $0 }) { await Task.yield() }
            task.cancel()
            let result = await task.result
            #expect(throws: PostgresFault.self) { try result.get() }
            // The server lets go of what it held, and others go on meanwhile.
            let row = try await pool.transaction { try await $0.query("SELECT count(*) AS n FROM t")[0] }
            #expect(try row.value("n") == 0)
        }
    }

    @Test func aServerThatGoesComesBackByItself() async throws {
        let server = try PostgresServer()
        var configuration = try PostgresConfiguration(url: try server.database())
        configuration.connections = 2
        let pool = try PostgresPool(configuration)
        defer { pool.close() }
        try await pool.transaction { try await $0.execute("CREATE TABLE t (n int)") }
        for round in 0..<4 {
            let fault = await #expect(throws: PostgresFault.self) {
                try await pool.transaction { transaction in
                    try await transaction.execute("INSERT INTO t VALUES (\(round))")
                    if round % 2 == 0 { server.kill() } else { server.stop() }
                    try await transaction.execute("INSERT INTO t VALUES (\(round))")
                }
            }
            #expect(fault?.kind == .unreachable, "\(fault.map { "\($0)" } ?? "")")
            // While it is away the answer comes at once, and says so.
            let away = await #expect(throws: PostgresFault.self) {
                try await pool.transaction { try await $0.execute("SELECT 1") }
            }
            #expect(away?.isRetriable == true)
            try server.start()
            while true {
                do {
                    try await pool.transaction { try await $0.execute("INSERT INTO t VALUES (100)") }
                    break
                } catch let fault as PostgresFault {
                    #expect(fault.kind == .unreachable, "\(fault)")
                    await Task.yield()
                }
            }
        }
        let row = try await pool.transaction { try await $0.query("SELECT count(*) AS n, max(n) AS most FROM t")[0] }
        #expect(try row.value("n") == 4)
        #expect(try row.value("most") == 100)
    }

    @Test func aServerThatDoesNotAnswerIsAwayAndNotBusy() async throws {
        let server = try PostgresServer()
        var configuration = try PostgresConfiguration(url: try server.database())
        configuration.connections = 1
        configuration.connectTimeout = .milliseconds(200)
        // Whoever waits for this waits in vain.
        configuration.leaseTimeout = .seconds(3600)
        server.freeze()
        defer { server.goOn() }
        let pool = try PostgresPool(configuration)
        defer { pool.close() }
        let fault = await #expect(throws: PostgresFault.self) {
            try await pool.transaction { try await $0.execute("SELECT 1") }
        }
        #expect(fault?.kind == .unreachable, "\(fault.map { "\($0)" } ?? "")")
    }

    /// The first host takes connections and says nothing, as one does that was cut off.
    @Test func aHostThatDoesNotAnswerIsPassedOver() async throws {
        let silent = try PostgresServer()
        silent.freeze()
        defer { silent.goOn() }
        let url = try PostgresServer.shared.get().database().replacing("host=", with: "host=\(silent.folderOfSocket),")
        var configuration = try PostgresConfiguration(url: url)
        configuration.connections = 1
        configuration.connectTimeout = .milliseconds(500)
        let pool = try PostgresPool(configuration)
        defer { pool.close() }
        while true {
            do {
                try await pool.transaction { try await $0.execute("SELECT 1") }
                break
            } catch let fault as PostgresFault { #expect(fault.kind == .unreachable, "\(fault)") }
        }
    }

    @Test func aStatementIsPreparedOnceHoweverManyComeAtOnce() async throws {
        try await withPool({ $0.connections = 1 }) { pool in
            try await pool.transaction { try await $0.execute("CREATE TABLE t (n int)") }
            try await pool.transaction { try await $0.execute("SELECT 'kept'") }
            try await pool.transaction { transaction in
                for number in 0..<1000 { transaction.later("INSERT INTO t VALUES (\(number))") }
            }
            let rows = try await pool.transaction {
                try await $0.query(
                    "SELECT count(*) AS n FROM pg_prepared_statements WHERE statement = 'SELECT ''kept'''")
            }
            #expect(try rows[0].value("n") == 1)
        }
    }

    /// Wherever the connection forgets its statements, what failed is rolled back and the next transaction is its own.
    @Test func whoComesAfterOneThatFailedFindsAFreeConnection() async throws {
        try await withPool({ $0.connections = 1 }) { pool in
            try await pool.transaction { try await $0.execute("CREATE TABLE t (n int)") }
            for number in 0..<600 {
                let fault = await #expect(throws: PostgresFault.self) {
                    try await pool.transaction { transaction in
                        try await transaction.execute("INSERT INTO t VALUES (1)")
                        try await transaction.execute(SQL(stringLiteral: "SELECT \(number) / 0"))
                    }
                }
                #expect(fault?.kind == .data)
                try await pool.transaction { try await $0.execute("SELECT 1") }
            }
            let rows = try await pool.transaction { try await $0.query("SELECT count(*) AS n FROM t") }
            #expect(try rows[0].value("n") == 0)
        }
    }

    @Test func aMigrationMayTakeLongerThanAStatement() async throws {
        try await withPool {
            $0.statementTimeout = .seconds(2)
            $0.schema = "slow"
        } _: { pool in
            try await pool.migrate([Migration("1", "SELECT pg_sleep(4); CREATE TABLE a (n int)")], group: "test")
            try await pool.transaction { try await $0.execute("SELECT n FROM a") }
            let fault = await #expect(throws: PostgresFault.self) {
                try await pool.transaction { try await $0.execute("SELECT pg_sleep(60)") }
            }
            #expect(fault?.kind == .timedOut)
        }
    }

    @Test func migrationsRunOnceWhoeverComesFirst() async throws {
        let server = try PostgresServer.shared.get()
        let url = try server.database()
        let first = [Migration("1", "CREATE TABLE a (n int); INSERT INTO a VALUES (1)")]
        let both = first + [Migration("2", "ALTER TABLE a ADD COLUMN m int DEFAULT 7; INSERT INTO a VALUES (2)")]
        func pool() throws -> PostgresPool {
            var configuration = try PostgresConfiguration(url: url)
            configuration.connections = 1
            configuration.schema = "odd \"name\""
            return try PostgresPool(configuration)
        }
        let pools = try (0..<4).map { _ in try pool() }
        defer { for pool in pools { pool.close() } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for pool in pools { group.addTask { try await pool.migrate(first, group: "test") } }
            try await group.waitForAll()
        }
        try await pools[0].migrate(both, group: "test")
        try await pools[1].migrate(both, group: "test")
        let row = try await pools[2].transaction {
            try await $0.query("SELECT count(*) AS n, sum(m) AS m FROM a")[0]
        }
        #expect(try row.value("n") == 2)
        #expect(try row.value("m") == 14)
        // What has run is not changed under its name.
        let fault = await #expect(throws: PostgresFault.self) {
            try await pools[0].migrate([Migration("1", "SELECT 1")], group: "test")
        }
        #expect(fault?.reason.contains("another form") == true)
        // One that fails leaves nothing of itself.
        await #expect(throws: PostgresFault.self) {
            try await pools[0].migrate(
                both + [Migration("3", "INSERT INTO a VALUES (3); SELECT 1/0")], group: "test")
        }
        let after = try await pools[3].transaction { try await $0.query("SELECT count(*) AS n FROM a")[0] }
        #expect(try after.value("n") == 2)
    }

    @Test(arguments: [
        "mysql://x", "postgresql://user:sec%ret@host/db", "postgresql://u:secret@h:port/db", "nonsense", "a\u{0}b",
    ])
    func aURLThatIsNoneIsRefusedWithoutItsPassword(_ url: String) throws {
        let fault = #expect(throws: PostgresFault.self) { try PostgresConfiguration(url: url) }
        #expect(fault?.description.contains("sec") == false)
    }

    @Test func whoMayNotComeInIsToldSo() async throws {
        var configuration = try PostgresConfiguration(url: try PostgresServer.shared.get().database())
        #expect(!"\(configuration)".contains("user"))
        configuration = try PostgresConfiguration(
            url: try PostgresServer.shared.get().database().replacing("user=postgres", with: "user=nobody_known"))
        configuration.connections = 1
        let pool = try PostgresPool(configuration)
        defer { pool.close() }
        let fault = await #expect(throws: PostgresFault.self) {
            try await pool.transaction { try await $0.execute("SELECT 1") }
        }
        #expect(fault?.kind == .refused)
    }
}
