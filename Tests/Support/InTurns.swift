package import Testing

/// Has the tests of a suite run a few at a time, over all suites that say so.
///
/// Tests start all at once, and on two cores five hundred of them leave a server that is tested too little time to keep
/// the patience it promises: what would fail is the crowd, not the server. Suites that use sockets, servers or deadlines
/// are `@Suite(.inTurns)`. What a test waits for its turn counts in `.timeLimit`.
package struct InTurns: SuiteTrait, TestTrait, TestScoping {
    package var isRecursive: Bool { true }

    @concurrent package func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        await Turns.shared.take()
        do {
            try await function()
            await Turns.shared.give()
        } catch {
            await Turns.shared.give()
            throw error
        }
    }
}

extension Trait where Self == InTurns {
    package static var inTurns: Self { InTurns() }
}

/// First come, first served.
private actor Turns {
    static let shared = Turns()

    private var free = 6
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func take() async {
        guard free == 0 else { return free -= 1 }
        await withCheckedContinuation { waiting.append($0) }
    }

    func give() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
