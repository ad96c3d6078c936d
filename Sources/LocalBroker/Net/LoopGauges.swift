internal import Synchronization

/// What the loop holds for its clients at the end of a turn, for other threads to look at.
final class LoopGauges: Sendable {
    let connections = Atomic<Int>(0)
    /// Bytes of requests that are not handled yet.
    let heldBytes = Atomic<Int>(0)
    /// Bytes of answers that are not taken yet; those that lie in files cost no memory.
    let outputBytes = Atomic<Int>(0)

    func show(connections: Int, heldBytes: Int, outputBytes: Int) {
        self.connections.store(connections, ordering: .relaxed)
        self.heldBytes.store(heldBytes, ordering: .relaxed)
        self.outputBytes.store(outputBytes, ordering: .relaxed)
    }
}
