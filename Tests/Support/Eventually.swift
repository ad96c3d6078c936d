/// Waits for something that is to become true by itself, and says so when it does not. It sleeps between two looks: what
/// is waited for needs the cores.
package func eventually(
    within limit: Duration = .seconds(120), _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while !(try await condition()) {
        guard ContinuousClock.now < end else { throw NeverCame(limit: limit) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

private struct NeverCame: Error, CustomStringConvertible {
    let limit: Duration
    var description: String { "what was waited for did not come within \(limit)" }
}
