internal import CLinux
internal import Glibc

/// A thread of our own, for what blocks: the cooperative pool has one thread a core and must never wait.
public final class OSThread: @unchecked Sendable {
    // Unchecked: `handle` is written before any other thread can know this object, and consumed by `join`.
    private var handle: pthread_t?

    /// Starts a thread that runs `body` and ends. `name` shows in `top -H`; the kernel keeps its first 15 bytes.
    ///
    /// All signals are blocked in it: they belong to the main thread.
    public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
        var everySignal = sigset_t()
        var before = sigset_t()
        var thread = pthread_t()
        unsafe sigfillset(&everySignal)
        unsafe pthread_sigmask(SIG_BLOCK, &everySignal, &before)
        let code = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                unsafe flotilla_name_this_thread(String(start.name.prefix(15)))
                start.body()
                return nil
            }, start.toOpaque())
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        guard code == 0 else {
            unsafe start.release()
            throw SystemError(code: code, call: "pthread_create", subject: name)
        }
        handle = thread
    }

    /// The stack of a thread that has ended stays until somebody joins it: here nobody will any more.
    deinit {
        if let handle { pthread_detach(handle) }
    }

    /// Waits until `body` has returned. To be called once.
    public func join() {
        guard let thread = handle else { return }
        handle = nil
        pthread_join(thread, nil)
    }

    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
