import Glibc
import Platform
import Synchronization
import TestSupport
import Testing

@testable import LocalBroker

/// A broker in this process, in a folder of its own, that ends with the closure it is lent to.
struct BrokerBed {
    var configuration: BrokerConfiguration
    var files: any FileLayer = SystemFiles()
    let folder: TemporaryFolder
    let lines: LogLines

    init(_ folder: TemporaryFolder = TemporaryFolder(), under path: String? = nil) {
        self.folder = folder
        lines = LogLines(folder)
        configuration = BrokerConfiguration(dataFolder: path ?? folder.path)
        configuration.listen.port = 0
        // What a test does not do itself must not come in between: whoever needs the clock sets it.
        configuration.housekeeping.everyMilliseconds = 3_600_000
    }

    /// Starts a broker, lends it, and stops it.
    func run<Result>(_ body: (RunningBroker) throws -> Result) throws -> Result {
        let broker = try Broker.start(configuration, files: files, log: lines.log)
        do {
            let result = try body(RunningBroker(broker: broker, lines: lines))
            try broker.stop()
            return result
        } catch {
            try? broker.stop()
            throw error
        }
    }
}

/// A broker that serves.
struct RunningBroker {
    let broker: Broker
    let lines: LogLines

    var port: UInt16 { broker.endpoint.port }

    func client(receiveBuffer: Int32? = nil) throws -> RawClient { try RawClient(port, receiveBuffer: receiveBuffer) }
}

/// Threads of a test, each with a name, and what went wrong in them.
final class TestThreads: Sendable {
    private let threads = Mutex<[OSThread]>([])
    private let faults = Mutex<[String]>([])

    func start(_ name: String, _ body: @escaping @Sendable () throws -> Void) throws {
        let thread = try OSThread(name: name) { [self] in
            do {
                try body()
            } catch {
                faults.withLock { $0.append("\(name): \(error)") }
            }
        }
        threads.withLock { $0.append(thread) }
    }

    /// Waits for all of them; returns what they threw.
    func join() -> [String] {
        let started = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in started { thread.join() }
        return faults.withLock { $0 }
    }
}

extension RunningBroker {
    var connections: Int { broker.gauges.connections.load(ordering: .relaxed) }
    var heldBytes: Int { broker.gauges.heldBytes.load(ordering: .relaxed) }
    var outputBytes: Int { broker.gauges.outputBytes.load(ordering: .relaxed) }
}

/// Something that was to happen did not, long after it should have.
struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Waits until something is so that no event tells of. The limit is no promise of speed: it is where waiting is in vain.
func eventually(_ what: String, _ isSo: () throws -> Bool) throws {
    let end = Time.monotonicMilliseconds + 60_000
    while try !isSo() {
        guard Time.monotonicMilliseconds < end else { throw NeverHappened(description: "never: \(what)") }
        usleep(500)
    }
}
