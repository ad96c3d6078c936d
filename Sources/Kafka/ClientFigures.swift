internal import Synchronization

/// What the clients of a process said of themselves last, by their names: for whoever tells figures.
public final class ClientFigures: Sendable {
    private struct Client {
        var last: ClientStatistics?
        var known: Set<Int64> = []
    }

    private let clients = Mutex<[String: Client]>([:])

    public init() {}

    /// By name; a client that has said nothing yet is left out.
    public var all: [(client: String, statistics: ClientStatistics)] {
        clients.withLock { clients in
            clients.compactMap { name, client in client.last.map { (name, $0) } }.sorted { $0.client < $1.client }
        }
    }

    /// Takes a client's document. What cannot be read makes it say nothing, so that nobody takes old figures for new.
    func note(_ name: String, _ json: String) {
        var known = clients.withLock { $0[name]?.known ?? [] }
        // Read outside the lock: it takes its time, and each client has one thread that tells.
        let last = ClientStatistics(json, known: &known)
        clients.withLock { [known] in $0[name] = Client(last: last, known: known) }
    }

    /// A client is no more.
    public func forget(_ name: String) {
        clients.withLock { $0[name]?.last = nil }
    }
}

extension ClientConfiguration {
    /// Has a producer or a consumer tell its figures, every `statisticsInterval`, under a name that it alone has in the
    /// process.
    public mutating func tell(_ figures: ClientFigures, as name: String) {
        hooks.statisticsInterval = statisticsInterval
        hooks.statistics = { [figures] in figures.note(name, $0) }
    }
}
