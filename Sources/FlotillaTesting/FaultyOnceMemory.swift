package import Flotilla
package import Model

/// A once-only memory whose calls fail as planned.
package struct FaultyOnceMemory: OnceMemory {
    private let memory: any OnceMemory
    private let executor: StepExecutor
    private let faults: FaultPlan?

    package init(_ memory: any OnceMemory, executor: StepExecutor, faults: FaultPlan?) {
        self.memory = memory
        self.executor = executor
        self.faults = faults
    }

    package func takeOver(_ partition: TopicPartition) async throws(OnceFault) -> OnceOwner {
        try await strike(.takeOver) { () async throws(OnceFault) in try await memory.takeOver(partition) }
    }

    package func claim(_ events: [OnceClaim], owner: OnceOwner) async throws(OnceFault) -> [ClaimAnswer] {
        try await strike(.claim) { () async throws(OnceFault) in try await memory.claim(events, owner: owner) }
    }

    package func start(_ event: OnceHold, owner: OnceOwner) async throws(OnceFault) -> Bool {
        try await strike(.start) { () async throws(OnceFault) in try await memory.start(event, owner: owner) }
    }

    package func comeBack(_ event: OnceHold, owner: OnceOwner) async throws(OnceFault) -> Bool {
        try await strike(.comeBack) { () async throws(OnceFault) in try await memory.comeBack(event, owner: owner) }
    }

    package func renew(_ events: [OnceHold], owner: OnceOwner) async throws(OnceFault) -> [Bool] {
        try await strike(.renew) { () async throws(OnceFault) in try await memory.renew(events, owner: owner) }
    }

    package func finish(
        _ events: [(hold: OnceHold, ending: OnceEnding)], owner: OnceOwner
    ) async throws(OnceFault) -> [Bool] {
        try await strike(.finish) { () async throws(OnceFault) in try await memory.finish(events, owner: owner) }
    }

    package func remember(_ events: [OnceKey]) async throws(OnceFault) { try await memory.remember(events) }

    private func strike<Value>(
        _ call: FaultPlan.Call, _ body: () async throws(OnceFault) -> Value
    ) async throws(OnceFault) -> Value {
        let away = OnceFault(.unreachable, "the memory is away")
        guard !executor.hasCrashed else { throw away }
        let damage = faults?.meets(call)
        if damage == .deathBefore { executor.crash() }
        if damage == .before || damage == .deathBefore { throw away }
        let value = try await body()
        if damage == .deathAfter { executor.crash() }
        if damage == .after || damage == .deathAfter { throw away }
        return value
    }
}
