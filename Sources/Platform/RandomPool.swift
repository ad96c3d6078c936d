internal import CLinux
internal import Synchronization

/// The system's random numbers, fetched some at a time: one alone costs a system call. For ids; for what must stay secret
/// ask the system itself, because what waits here lies in memory.
package final class RandomPool: Sendable {
    package static let shared = RandomPool()

    private static let size = 128
    private let kept = Mutex<[UInt64]>([])

    /// Two that nobody else gets.
    package func next() -> (UInt64, UInt64) {
        kept.withLock { kept in
            if kept.count < 2 {
                kept = unsafe [UInt64](unsafeUninitializedCapacity: Self.size) { buffer, count in
                    unsafe Self.fill(UnsafeMutableRawBufferPointer(buffer))
                    count = Self.size
                }
            }
            return (kept.removeLast(), kept.removeLast())
        }
    }

    private static func fill(_ buffer: UnsafeMutableRawBufferPointer) {
        // The generator's `next` is a system call each; through `getrandom` all of them are one.
        guard unsafe flotilla_random(buffer.baseAddress, buffer.count) != 0 else { return }
        var random = SystemRandomNumberGenerator()
        for place in stride(from: 0, to: buffer.count, by: 8) {
            unsafe buffer.storeBytes(of: random.next(), toByteOffset: place, as: UInt64.self)
        }
    }
}
