internal import Synchronization
internal import WebAPI

/// So many at once of something that takes much; others are told to come again.
final class Turns: Sendable {
    private let most: Int
    private let count = Atomic<Int>(0)

    init(_ most: Int) { self.most = most }

    func run<Value>(_ body: () async throws -> Value) async throws -> Value {
        defer { count.subtract(1, ordering: .relaxed) }
        guard count.add(1, ordering: .relaxed).newValue <= most else {
            throw Problem(503, "\(most) people look into topics at this moment: ask again in one", retryAfter: 1)
        }
        return try await body()
    }
}
