package import Contracts
package import Model
package import Platform

/// The once-only memory as a handler's lanes use it: events in, what may be worked on out.
///
/// A memory that is away pauses the lanes, or is done without, as the policy says. Nothing is claimed twice for it:
/// all calls are harmless to repeat.
package struct OnceGate: Sendable {
    package let memory: any OnceMemory
    package let onStoreDown: ConsumerPolicy.Once.OnStoreDown

    package init(_ memory: any OnceMemory, onStoreDown: ConsumerPolicy.Once.OnStoreDown) {
        self.memory = memory
        self.onStoreDown = onStoreDown
    }
}

extension OnceKey {
    /// 128 bits of SHA-256 of the source and the id: short, and nobody can make two events share it.
    package init(_ event: borrowing Event, _ digest: Digest) {
        digest.start()
        digest.add(event.sourceBytes)
        digest.add([0])
        digest.add(event.idBytes)
        let (high, low) = digest.finish()
        self.init(high: high, low: low)
    }
}
