import Flotilla
import Glibc

/// What the fault tests run as a process: handlers whose every repeat would show.
@main enum SinkProgram {
    static func main() { Flotilla.main([Sink(), Trap()]) }
}

/// Adds up amounts. It increments, and has nothing that would keep an event from counting twice.
struct Sink: StatefulHandler {
    let name: HandlerName = "sink"

    var migrations: [Migration] {
        [Migration("1", "CREATE TABLE totals (partition int PRIMARY KEY, events bigint NOT NULL, sum bigint NOT NULL)")]
    }

    func apply(_ events: [Event], _ transaction: PostgresTransaction, _ context: Context) async throws -> [Outgoing] {
        var sum: Int64 = 0
        var outputs: [Outgoing] = []
        for event in events {
            guard let amount = try event.json()["amount"]?.int64 else { throw Refusal.permanent("no amount") }
            sum += amount
            outputs.append(Outgoing(to: "counted", from: event, json: Array("{\"amount\":\(amount)}".utf8)))
        }
        transaction.later(
            """
            INSERT INTO totals VALUES (\(events[0].partition.rawValue), \(events.count), \(sum)) ON CONFLICT (partition)
            DO UPDATE SET events = totals.events + excluded.events, sum = totals.sum + excluded.sum
            """)
        return outputs
    }
}

/// Ends the process at some events, as a trap in a handler does.
struct Trap: Handler {
    let name: HandlerName = "trap"

    func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
        if try event.json()["trap"]?.bool == true { abort() }
        return [Outgoing(to: "passed", from: event, json: Array("{}".utf8))]
    }
}
