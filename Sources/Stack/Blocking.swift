internal import Glibc
internal import Platform
internal import Synchronization

/// Waits on a thread of our own for what is asynchronous. Never to be called by a task.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) throws -> Value {
    let box = Box<Value>()
    let bell = try Doorbell()
    Task {
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        box.value.withLock { $0 = result }
        bell.ring()
    }
    bell.wait()
    guard let result = box.value.withLock({ $0 }) else {
        preconditionFailure("the bell rang before there was a result")
    }
    return try result.get()
}

private final class Box<Value: Sendable>: Sendable {
    let value = Mutex<Result<Value, any Error>?>(nil)
}

extension Doorbell {
    /// Sleeps until it rings.
    fileprivate func wait() {
        var waiting = pollfd(fd: fileDescriptor, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&waiting, 1, -1) < 1 {}
    }
}
