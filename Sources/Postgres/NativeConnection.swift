internal import CPostgres
internal import Glibc
internal import Platform

/// One libpq connection in pipeline mode. Belongs to the thread that made it.
///
/// All statements of an exchange go over in one write with one synchronisation point at their end; a statement that is
/// new to the connection is prepared on the way. Whatever breaks the order of questions and answers ends the
/// connection, because every later answer would be taken for another one.
@safe final class NativeConnection {
    private let connection: OpaquePointer
    private let bell: Doorbell
    /// Statements that the server has prepared, by their text.
    private var prepared: [String: String] = [:]
    private var lastName = 0
    private(set) var isBroken = false

    private static let preparedAtMost = 500

    /// Connects and sets the session up. `hostsLast`: how many of several hosts are asked only after the others.
    init(
        _ configuration: PostgresConfiguration, _ bell: Doorbell, hostsLast: Int, isClosed: () -> Bool
    ) throws(PostgresFault) {
        self.bell = bell
        let options =
            [
                ("dbname", configuration.connection), ("application_name", configuration.applicationName),
                ("client_encoding", "UTF8"), ("tcp_user_timeout", "10000"),
            ] + configuration.hosts(last: hostsLast)
        var started: OpaquePointer?
        unsafe Self.withStrings(options.map(\.0)) { keywords in
            unsafe Self.withStrings(options.map(\.1)) { values in
                unsafe started = PQconnectStartParams(keywords, values, 1)
            }
        }
        guard let started = unsafe started else { throw PostgresFault(.unreachable, "out of memory") }
        unsafe connection = started
        do throws(PostgresFault) {
            try finishConnecting(
                by: Time.monotonicMilliseconds + configuration.connectTimeout.patience, isClosed: isClosed)
            unsafe PQsetNoticeProcessor(connection, { _, _ in }, nil)
            unsafe PQsetnonblocking(connection, 1)
            guard unsafe PQenterPipelineMode(connection) == 1 else { throw broken() }
            _ = try run(
                configuration.setUp, by: Time.monotonicMilliseconds + configuration.connectTimeout.patience,
                isGivenUp: isClosed)
        } catch {
            unsafe PQfinish(connection)
            guard error.kind == .timedOut else { throw error }
            // Nobody has asked it anything yet, so it is not slow but away.
            throw PostgresFault(
                .unreachable, "no connection within \(configuration.connectTimeout): does the host answer at all?")
        }
    }

    func finish() { unsafe PQfinish(connection) }

    // MARK: Exchanges

    /// Sends statements in one go and gives their answers. One that fails has the later ones not run, and throws.
    func run(
        _ statements: [SQL], by deadline: Int64, isGivenUp: () -> Bool
    ) throws(PostgresFault) -> [PostgresRows] {
        for statement in statements { try statement.check() }
        var steps: [Step] = []
        for statement in statements {
            if prepared[statement.text] == nil {
                lastName += 1
                let name = "f\(lastName)"
                prepared[statement.text] = name
                try accept(unsafe PQsendPrepare(connection, name, statement.text, 0, nil))
                steps.append(.prepare(statement.text))
            }
            try send(statement, as: prepared[statement.text] ?? "")
            steps.append(.query)
        }
        try accept(unsafe PQpipelineSync(connection))
        try flush(by: deadline, isGivenUp)
        return try answers(to: steps, by: deadline, isGivenUp)
    }

    /// Runs a text of several statements, outside of the pipeline.
    func run(script: String, by deadline: Int64, isGivenUp: () -> Bool) throws(PostgresFault) {
        guard unsafe PQexitPipelineMode(connection) == 1 else { throw broken() }
        try accept(unsafe PQsendQuery(connection, script))
        try flush(by: deadline, isGivenUp)
        var fault: PostgresFault?
        while let answer = try next(by: deadline, isGivenUp) {
            if let refusal = answer.fault { fault = fault ?? refusal }
        }
        guard unsafe PQenterPipelineMode(connection) == 1 else { throw broken() }
        if let fault { throw fault }
    }

    /// Makes ready for whoever is next: what was begun is over, and not too many statements are prepared. Not within a
    /// transaction: where that has failed the server does nothing more, and what came behind would not be done either.
    func tidy(by deadline: Int64, isGivenUp: () -> Bool) throws(PostgresFault) {
        // What ends the exchange's results makes libpq notice that it is idle.
        guard try next(by: deadline, isGivenUp) == nil, unsafe PQtransactionStatus(connection) == PQTRANS_IDLE else {
            throw broken("the transaction before was not ended")
        }
        guard prepared.count > Self.preparedAtMost else { return }
        _ = try run(["DEALLOCATE ALL"], by: deadline, isGivenUp: isGivenUp)
        prepared = [:]
    }

    private enum Step {
        case prepare(String)
        case query
    }

    private func send(_ statement: SQL, as name: String) throws(PostgresFault) {
        // One buffer for all values: texts end with a zero, and are pointed into.
        var bytes: [UInt8] = []
        var starts: [Int?] = []
        var lengths: [Int32] = []
        var formats: [Int32] = []
        for value in statement.values {
            switch value {
            case .null: starts.append(nil)
            case .text(let text):
                starts.append(bytes.count)
                bytes.append(contentsOf: text.utf8)
                bytes.append(0)
            case .bytes(let content):
                starts.append(bytes.count)
                bytes.append(contentsOf: content)
                bytes.append(0)
            }
            if case .bytes(let content) = value {
                lengths.append(Int32(clamping: content.count))
                formats.append(1)
            } else {
                lengths.append(0)
                formats.append(0)
            }
        }
        let code = unsafe bytes.withUnsafeBytes { buffer in
            let base = unsafe buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
            let pointers = unsafe starts.map { start in unsafe start.flatMap { unsafe base?.advanced(by: $0) } }
            return unsafe PQsendQueryPrepared(
                connection, name, Int32(clamping: pointers.count), pointers, lengths, formats, 0)
        }
        try accept(code)
    }

    private func answers(
        to steps: [Step], by deadline: Int64, _ isGivenUp: () -> Bool
    ) throws(PostgresFault) -> [PostgresRows] {
        var rows: [PostgresRows] = []
        var fault: PostgresFault?
        for step in steps {
            guard let answer = try next(by: deadline, isGivenUp) else { throw broken("an answer is missing") }
            guard try next(by: deadline, isGivenUp) == nil else { throw broken("there is an answer too many") }
            fault = fault ?? answer.fault
            switch step {
            case .query: if let found = answer.rows { rows.append(found) }
            case .prepare(let text): if answer.rows == nil { prepared[text] = nil }
            }
        }
        guard let end = try next(by: deadline, isGivenUp), end.isSync else { throw broken("the answers do not end") }
        if let fault {
            // A statement that the server has forgotten, or whose result has another shape now, is prepared again by
            // the next connection.
            if fault.state == "26000" || fault.state == "0A000" { isBroken = true }
            throw fault
        }
        return rows
    }

    /// One result; nil is the end of a statement's results.
    private struct Answer {
        var rows: PostgresRows?
        var fault: PostgresFault?
        var isSync = false
    }

    private func next(by deadline: Int64, _ isGivenUp: () -> Bool) throws(PostgresFault) -> Answer? {
        while unsafe PQisBusy(connection) == 1 {
            try wait(for: Int16(POLLIN), by: deadline, isGivenUp)
            guard unsafe PQconsumeInput(connection) == 1 else { throw broken() }
        }
        guard let result = unsafe PQgetResult(connection) else {
            guard unsafe PQstatus(connection) == CONNECTION_OK else { throw broken() }
            return nil
        }
        defer { unsafe PQclear(result) }
        switch unsafe PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return Answer(rows: unsafe PostgresRows(result))
        case PGRES_PIPELINE_SYNC: return Answer(isSync: true)
        case PGRES_PIPELINE_ABORTED:
            return Answer(fault: PostgresFault(.statement, "not run, because an earlier statement failed"))
        case PGRES_FATAL_ERROR:
            guard let state = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "C"))) else { throw broken() }
            let fault = unsafe PostgresFault(
                state: String(cString: state),
                message: Self.line(PQresultErrorField(result, Int32(UInt8(ascii: "M")))),
                constraint: PQresultErrorField(result, Int32(UInt8(ascii: "n"))).map { unsafe String(cString: $0) })
            guard unsafe PQstatus(connection) == CONNECTION_OK else { throw broken(fault.reason) }
            return Answer(fault: fault)
        case _: throw broken("an answer that nobody asked for")
        }
    }

    // MARK: The socket

    /// Looks whether the server hung up while nothing was asked. False when it did.
    func stillHere() -> Bool {
        guard unsafe PQconsumeInput(connection) == 1, unsafe PQstatus(connection) == CONNECTION_OK else {
            isBroken = true
            return false
        }
        return true
    }

    var descriptor: Int32 { unsafe PQsocket(connection) }

    private func finishConnecting(by deadline: Int64, isClosed: () -> Bool) throws(PostgresFault) {
        var events = Int16(POLLOUT)
        while true {
            guard unsafe PQstatus(connection) != CONNECTION_BAD else { throw refusal() }
            try wait(for: events, by: deadline, isClosed)
            switch unsafe PQconnectPoll(connection) {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: events = Int16(POLLIN)
            case PGRES_POLLING_WRITING: events = Int16(POLLOUT)
            case _: throw refusal()
            }
        }
    }

    /// Why it did not let us in: libpq has no SQLSTATE for it.
    private func refusal() -> PostgresFault {
        let reason = unsafe Self.line(PQerrorMessage(connection))
        let isRefusal =
            ["authentication", "password", "role \"", "pg_hba"].contains { reason.contains($0) }
            || (reason.contains("database \"") && reason.contains("does not exist"))
        return PostgresFault(isRefusal ? .refused : .unreachable, reason)
    }

    /// Sends all of it. Answers are taken meanwhile, or both sides could wait for the other to read.
    private func flush(by deadline: Int64, _ isGivenUp: () -> Bool) throws(PostgresFault) {
        while true {
            switch unsafe PQflush(connection) {
            case 0: return
            case 1:
                try wait(for: Int16(POLLIN | POLLOUT), by: deadline, isGivenUp)
                guard unsafe PQconsumeInput(connection) == 1 else { throw broken() }
            case _: throw broken()
            }
        }
    }

    private func wait(for events: Int16, by deadline: Int64, _ isGivenUp: () -> Bool) throws(PostgresFault) {
        while true {
            let left = deadline - Time.monotonicMilliseconds
            guard left > 0 else { throw broken("no answer in time", .timedOut) }
            guard !isGivenUp() else { throw broken("given up", .cancelled) }
            var files = [
                pollfd(fd: descriptor, events: events, revents: 0),
                pollfd(fd: bell.fileDescriptor, events: Int16(POLLIN), revents: 0),
            ]
            unsafe _ = poll(&files, 2, Int32(clamping: left))
            if files[1].revents != 0 { bell.silence() }
            if files[0].revents != 0 { return }
        }
    }

    private func accept(_ code: Int32) throws(PostgresFault) {
        guard code == 1 else { throw broken() }
    }

    private func broken(_ reason: String? = nil, _ kind: PostgresFault.Kind = .unreachable) -> PostgresFault {
        isBroken = true
        let found = unsafe Self.line(PQerrorMessage(connection))
        return PostgresFault(kind, reason ?? found, mayHaveHappened: true)
    }

    // MARK: C

    /// The first line of a message, which is what a person needs.
    private static func line(_ message: UnsafePointer<CChar>?) -> String {
        guard let message = unsafe message else { return "no reason given" }
        let text = unsafe String(cString: message).split(separator: "\n").joined(separator: "; ")
        return text.isEmpty ? "the connection was lost" : text
    }

    private static func line(_ message: UnsafeMutablePointer<CChar>?) -> String {
        unsafe line(message.map { unsafe UnsafePointer($0) })
    }

    /// A list of strings as C has them, with a null at its end.
    private static func withStrings(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Void) {
        var copies: [UnsafeMutablePointer<CChar>?] = unsafe strings.map { unsafe strdup($0) }
        unsafe copies.append(nil)
        defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
        let pointers = unsafe copies.map { unsafe $0.map { unsafe UnsafePointer($0) } }
        unsafe pointers.withUnsafeBufferPointer { buffer in
            if let base = buffer.baseAddress { unsafe body(base) }
        }
    }
}

extension SQL {
    /// What libpq would cut off in silence is refused.
    fileprivate func check() throws(PostgresFault) {
        for case .text(let value) in values where value.utf8.contains(0) {
            throw PostgresFault(.data, "a text with a NUL byte: Postgres has none")
        }
        guard values.count <= 65_535 else {
            throw PostgresFault(.statement, "\(values.count) values: a statement takes 65535; use arrays and unnest")
        }
    }
}

extension PostgresRows {
    fileprivate init(_ result: OpaquePointer) {
        let width = unsafe Int(PQnfields(result))
        let height = unsafe Int(PQntuples(result))
        var cells: [String?] = []
        cells.reserveCapacity(width * height)
        for row in 0..<Int32(clamping: height) {
            for column in 0..<Int32(clamping: width) {
                if unsafe PQgetisnull(result, row, column) == 1 {
                    cells.append(nil)
                } else {
                    let bytes = unsafe UnsafeRawBufferPointer(
                        start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column)))
                    cells.append(unsafe String(decoding: bytes, as: UTF8.self))
                }
            }
        }
        unsafe self.init(
            columns: (0..<Int32(clamping: width)).map { unsafe String(cString: PQfname(result, $0)) }, cells: cells,
            affected: Int(String(cString: PQcmdTuples(result))) ?? 0, tag: String(cString: PQcmdStatus(result)))
    }
}

extension PostgresConfiguration {
    /// What a session is told before anything else.
    fileprivate var setUp: [SQL] {
        func setting(_ name: String, _ value: String) -> SQL { "SELECT set_config(\(name), \(value), false)" }
        var statements = [
            setting("timezone", "UTC"), setting("datestyle", "ISO"), setting("bytea_output", "hex"),
            setting("statement_timeout", "\(statementTimeout.milliseconds)"),
            setting("lock_timeout", "\(lockTimeout.milliseconds)"),
            setting("idle_in_transaction_session_timeout", "\(statementTimeout.milliseconds * 2)"),
            // So that a backend whose client is gone lets go of its locks.
            setting("client_connection_check_interval", "1000"),
        ]
        if let schema { statements.append(setting("search_path", SQL.Interpolation.quoted(schema))) }
        return statements
    }
}
