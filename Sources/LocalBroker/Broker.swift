internal import CLinux
public import Platform
internal import Synchronization

/// A durable log for one machine that speaks Kafka's protocol.
///
///     var configuration = BrokerConfiguration(dataFolder: "/tmp/log")
///     configuration.listen.port = 0
///     let broker = try Broker.start(configuration, log: log)
///     defer { try? broker.stop() }
///     connect("127.0.0.1:\(broker.endpoint.port)")
///
/// It runs on two threads of its own, whoever starts it, and ends with `stop`. Important: a broker that is not stopped
/// keeps its folder locked as long as the process lives.
public final class Broker: Sendable {
    /// Where clients connect to: the port is a real one even when the configuration asked for any.
    public let endpoint: Endpoint

    private let doorbell: Doorbell
    private let state: Mutex<State>
    private let shouldStop = Atomic<Bool>(false)

    private struct State {
        var thread: OSThread?
        var outcome: Result<Void, BrokerFault>?
        var observers: [@Sendable (Result<Void, BrokerFault>) -> Void] = []
    }

    /// Opens the data folder, recovers what is in it, and listens. When this returns, clients are served.
    public static func start(_ configuration: BrokerConfiguration, log: Log) throws(BrokerFault) -> Broker {
        try start(configuration, files: SystemFiles(), log: log)
    }

    static func start(
        _ configuration: BrokerConfiguration, files: any FileLayer, log: Log
    ) throws(BrokerFault) -> Broker {
        do {
            let doorbell = try Doorbell()
            // Bound before the folder is opened, so that a taken port is found at once, and accepted from only when
            // recovery is over.
            let listener = try Listener(configuration.listen, insecure: configuration.insecure)
            let core = try BrokerCore(
                configuration, port: listener.port, files: files, doorbell: doorbell, log: log)
            let loop = try EventLoop(listener: listener, doorbell: doorbell, configuration: configuration, log: log)
            let broker = Broker(
                endpoint: Endpoint(host: configuration.listen.host, port: listener.port), doorbell: doorbell)
            try broker.run(loop, core)
            log.info(
                "broker is ready",
                [
                    ("listen", broker.endpoint), ("advertise", core.advertised), ("data", configuration.dataFolder),
                    ("fsync", configuration.durability.rawValue), ("topics", core.topics.count),
                ])
            return broker
        } catch let fault as BrokerFault {
            throw fault
        } catch {
            throw BrokerFault("cannot start the broker: \(error)")
        }
    }

    private init(endpoint: Endpoint, doorbell: Doorbell) {
        self.endpoint = endpoint
        self.doorbell = doorbell
        state = Mutex(State())
    }

    private func run(_ loop: EventLoop, _ core: BrokerCore) throws(SystemError) {
        // Both were made on this thread and are handed over, whole, to the one that they are confined to from now on.
        nonisolated(unsafe) let confined = (loop, core)
        let thread = try OSThread(name: "broker") { [self] in
            let (loop, core) = unsafe confined
            var outcome = Result<Void, BrokerFault>.success(())
            do throws(SystemError) {
                try loop.run(core) { shouldStop.load(ordering: .acquiring) }
            } catch {
                outcome = .failure(BrokerFault("the broker's loop failed: \(error)"))
            }
            core.close()
            let observers = state.withLock { state in
                state.outcome = outcome
                return state.observers
            }
            for observer in observers { observer(outcome) }
        }
        state.withLock { $0.thread = thread }
    }

    /// Calls `observer` on the broker's thread when it has ended, or at once if it already has.
    public func whenStopped(_ observer: @escaping @Sendable (Result<Void, BrokerFault>) -> Void) {
        let outcome = state.withLock { state in
            if state.outcome == nil { state.observers.append(observer) }
            return state.outcome
        }
        if let outcome { observer(outcome) }
    }

    /// Answers what is under way, forces everything to the disk and frees the folder. Returns when that is done; throws
    /// what ended the broker, if it did not end by this.
    public func stop() throws(BrokerFault) {
        shouldStop.store(true, ordering: .releasing)
        doorbell.ring()
        let thread = state.withLock { state in
            let thread = state.thread
            state.thread = nil
            return thread
        }
        thread?.join()
        if case .failure(let fault) = state.withLock({ $0.outcome }) { throw fault }
    }
}
