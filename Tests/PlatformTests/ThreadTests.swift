import Platform
import Synchronization
import Testing

@Suite struct ThreadTests {
    /// Else a process that starts one now and then has no room for the next some day: each keeps its stack.
    @Test func aThreadThatNobodyHoldsLeavesNothing() async throws {
        let before = try mappings()
        for _ in 0..<500 {
            try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
                do { _ = try OSThread(name: "short") { ended.resume() } } catch { ended.resume(throwing: error) }
            }
        }
        // A stack and its guard would be two. Other tests map this and that meanwhile.
        #expect(try mappings() - before < 500)
    }

    @Test func whoJoinsFindsWhatTheThreadHasDone() throws {
        let isDone = Atomic(false)
        let thread = try OSThread(name: "long") { isDone.store(true, ordering: .relaxed) }
        thread.join()
        let wasDone = isDone.load(ordering: .relaxed)
        #expect(wasDone)
    }

    private func mappings() throws -> Int {
        try #require(try Files.read("/proc/self/maps", limit: 64 << 20)).count { $0 == UInt8(ascii: "\n") }
    }
}
