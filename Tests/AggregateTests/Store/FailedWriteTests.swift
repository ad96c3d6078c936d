import Model
import Postgres
import TestSupport
import Testing

@testable import Aggregate

@Suite(.inTurns) struct FailedWriteTests {
    /// Else each write that fails would leave its windows in memory for ever.
    @Test func whatCouldNotBeWrittenIsFreed() async throws {
        let site = try await AggregateSite()
        defer { site.close() }
        weak var window: WindowState?
        do {
            let memory = PartitionMemory()
            let metric = memory.campaign("spring").metric("clicks")
            memory.add(metric, [], AggregateSite.noon, nil, nil)
            window = memory.dirty.first?.windows.first
            #expect(window != nil)
            await #expect(throws: PostgresFault.self) {
                try await site.pool.transaction { transaction in
                    try await transaction.execute("DROP TABLE windows CASCADE")
                    let store = WindowStore(transaction: transaction, partition: 0)
                    try await store.write(memory, limit: .max) { _ in true }
                }
            }
        }
        // Not shown when it is there: its series is not any more.
        let isFreed = window == nil
        #expect(isFreed)
    }
}
