import Glibc
import Platform
import TestSupport
import Testing

@testable import LocalBroker

/// The broker's core without its loop: requests go in as frames, and time passes when the test says so. Nothing here waits
/// for the disk unless `durability` says so.
final class CoreBed {
    let folder: TemporaryFolder
    let lines: LogLines
    let core: BrokerCore
    private let doorbell: Doorbell
    /// Of the loop's clock.
    private(set) var now = Time.monotonicMilliseconds
    private var clients: [CoreClient] = []

    init(
        _ folder: TemporaryFolder = TemporaryFolder(), durability: Durability = .never,
        _ change: (inout BrokerConfiguration) -> Void = { _ in }
    ) throws {
        self.folder = folder
        lines = LogLines(folder)
        var configuration = BrokerConfiguration(dataFolder: folder.path + "/data")
        configuration.durability = durability
        change(&configuration)
        doorbell = try Doorbell()
        core = try BrokerCore(configuration, port: 9092, files: SystemFiles(), doorbell: doorbell, log: lines.log)
    }

    /// Ends the broker; the folder stays as long as somebody holds it.
    func close() {
        for client in clients { client.close() }
        core.close()
    }

    func client() throws -> CoreClient {
        let client = try CoreClient(UInt64(clients.count + 2))
        clients.append(client)
        return client
    }

    /// Handles a request. The answer may come at once or in a later turn.
    @discardableResult
    func request(_ client: CoreClient, _ api: Int16, _ version: Int16, _ body: WireBody) throws -> Int32 {
        let correlation = client.takeCorrelation()
        var frame = Array(RawClient.frame(api, version, correlation, body).dropFirst(4))
        try unsafe frame.withUnsafeMutableBytes { bytes in
            unsafe try core.handle(bytes, from: client.connection, now: now)
        }
        return correlation
    }

    /// Ends the turn after `milliseconds`.
    func turn(after milliseconds: Int64 = 0) {
        now += milliseconds
        core.endOfTurn(now: now)
    }

    /// The answer to a request that is answered in its own turn.
    func call(_ client: CoreClient, _ api: Int16, _ version: Int16, _ body: WireBody) throws -> AnswerReader {
        let correlation = try request(client, api, version, body)
        turn()
        let answer = try #require(try client.answer(now: now))
        try #require(answer.correlation == correlation)
        return answer.body
    }

    /// Takes turns, each after a sync has ended, until `isDone`.
    func untilSettled(_ isDone: () throws -> Bool) throws {
        for _ in 0..<20 {
            turn()
            if try isDone() { return }
            var bell = pollfd(fd: doorbell.fileDescriptor, events: Int16(POLLIN), revents: 0)
            try #require(unsafe poll(&bell, 1, 60_000) == 1, "no sync is under way")
            doorbell.silence()
            core.wake(now: now)
        }
        Issue.record("twenty syncs, and it is not done")
    }

    func hangUp(_ client: CoreClient) {
        client.close()
        core.connectionsClosed([client.connection.id], now: now)
    }
}

/// A client of a core: one end of a socket pair; the other is the broker's connection.
final class CoreClient {
    let connection: Connection
    private let socket: Int32
    private var nextCorrelation: Int32 = 1
    private var received: [UInt8] = []

    init(_ id: UInt64) throws {
        var ends: [Int32] = [0, 0]
        let code = unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends)
        try #require(code == 0)
        socket = ends[0]
        for end in ends { makeNonBlocking(end) }
        connection = Connection(
            id: id, descriptor: ends[1], peer: "127.0.0.1:\(id)", limits: BrokerLimits(), now: 0
        ) { _ in }
    }

    deinit { close() }

    func close() {
        guard !connection.isClosed else { return }
        connection.close()
        Glibc.close(socket)
    }

    func takeCorrelation() -> Int32 {
        defer { nextCorrelation += 1 }
        return nextCorrelation
    }

    /// The next answer; nil when none has been given.
    func answer(now: Int64) throws -> (correlation: Int32, body: AnswerReader)? {
        // By turns, as a large answer does not fit into the socket at once.
        repeat {
            try #require(connection.send(now: now))
            receive()
        } while connection.hasOutput
        guard received.count >= 4 else { return nil }
        var head = AnswerReader(Array(received.prefix(4)))
        let end = 4 + Int(try head.int32())
        try #require(received.count >= end)
        var body = AnswerReader(Array(received[4..<end]))
        received.removeFirst(end)
        return (try body.int32(), body)
    }

    private func receive() {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(socket, $0.baseAddress, $0.count, 0) }
            guard count > 0 else { return }
            received += buffer.prefix(count)
        }
    }
}
