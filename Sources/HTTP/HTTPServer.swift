internal import Glibc
internal import Platform
internal import Synchronization

/// An HTTP/1.1 server: libmicrohttpd, run by threads of ours.
///
/// A request is given to the handler on the thread that read it, and may be answered from any other, then or later; no
/// thread waits for an answer. What the library refuses by itself (a request line that is none, headers beyond its
/// memory) it answers with a short page of its own, not by the handler.
///
/// Important: `stop` before the last reference goes.
package final class HTTPServer: Sendable {
    private let core: ServerCore
    private let keeper: Mutex<OSThread?>

    /// Where it listens.
    package var port: UInt16 { core.port }

    /// Listens and serves.
    package init(_ configuration: HTTPConfiguration, _ handler: any RequestHandler) throws(HTTPFault) {
        let core = try ServerCore(configuration, handler)
        do throws(SystemError) {
            keeper = Mutex(try OSThread(name: "http-keeper") { core.keep() })
        } catch {
            core.stop()
            throw HTTPFault("\(error)")
        }
        self.core = core
    }

    deinit { precondition(core.hasStopped, "a server is to be stopped before it goes") }

    /// How many connections are open.
    package var connectionCount: Int { core.table.count }

    /// What is kept of bodies.
    package var heldBytes: Int { core.memory.count }

    /// Takes no more connections, waits until what is under way has its answer, and closes everything. What is not done
    /// when the time is over, as a body that does not come, is cut off.
    package func stop(within budget: Duration = .seconds(10)) {
        guard !core.hasStopped else { return }
        core.quiesce()
        let end = Time.monotonicMilliseconds + budget.patience
        while core.openExchanges.load(ordering: .sequentiallyConsistent) > 0 {
            let rest = end - Time.monotonicMilliseconds
            guard rest > 0 else { break }
            core.idle.wait(milliseconds: rest)
        }
        core.giveUp()
        keeper.withLock { $0.take() }?.join()
        core.stop()
    }
}
