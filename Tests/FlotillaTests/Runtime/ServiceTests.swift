import Flotilla
import Model
import Platform
import Postgres
import Synchronization
import TestServers
import TestSupport
import Testing

@testable import Flotilla

/// What a handler does beside its events: begun, begun again when it ends, and ended in order.
@Suite(.inTurns) struct ServiceTests {
    private final class Server: ServingHandler {
        let name: HandlerName = "server"
        let calls = Mutex(0)
        let hasFinished = Atomic(false)

        func apply(
            _ events: [Event], _ transaction: PostgresTransaction, _ context: Context
        ) async throws -> [Outgoing] { [] }

        func serve(_ service: HandlerService) async throws {
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            if call == 1 { throw Refusal.retry("not yet") }
            if call == 2 { return }
            while !service.isEnding { await service.nap(.seconds(3600)) }
            // What is under way at the end has time to be finished, its database too.
            let rows = try await service.database.transaction { try await $0.query("SELECT 1 AS one") }
            hasFinished.store(rows.count == 1, ordering: .relaxed)
        }
    }

    private func service() throws -> HandlerService {
        let place = try PostgresConfiguration(url: try PostgresServer.shared.get().database())
        return HandlerService(
            try PostgresPool(place), log: Log(level: .error, format: .text) { _ in }, worker: "test")
    }

    @Test func itIsBegunAgainAndEndedInOrder() async throws {
        let server = Server()
        let run = ServiceRun(server, try service())
        run.begin()
        try await eventually { server.calls.withLock { $0 } >= 3 }
        await run.end()
        #expect(server.calls.withLock { $0 } == 3)
        let hasFinished = server.hasFinished.load(ordering: .relaxed)
        #expect(hasFinished)
    }

    @Test func napsEndWithTheServiceAndWithTheirTask() async throws {
        let service = try service()
        await service.nap(.zero)
        let task = Task { await service.nap(.seconds(3600)) }
        task.cancel()
        await task.value
        let nap = Task { await service.nap(.seconds(3600)) }
        service.end()
        await nap.value
        await service.nap(.seconds(3600))
        service.database.close()
    }
}
