import Flotilla
import Glibc

/// Handlers that fail for as long as the file FAIL_WHILE is there: a release that broke something, until it is mended.
@main enum FailingWorker {
    static func main() { Flotilla.main([Pricer(), Totals(), Shipper(), Clerk(), Relay()]) }
}

/// Whether it is broken at the moment; a customer whose key is in the file alone, or everybody's when it is empty.
private func fails(_ order: JSONValue) -> Bool {
    guard let path = unsafe getenv("FAIL_WHILE").map({ unsafe String(cString: $0) }) else { return false }
    guard let file = unsafe fopen(path, "re") else { return false }
    defer { unsafe fclose(file) }
    var line: [CChar] = Array(repeating: 0, count: 256)
    guard unsafe fgets(&line, 256, file) != nil else { return true }
    let country = line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
    return order["country"]?.string == String(decoding: country, as: UTF8.self)
}

/// Gives every order its tax.
struct Pricer: Handler {
    let name: HandlerName = "pricer"

    func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
        let order = try event.json()
        guard let amount = order["amount"]?.int64, let country = order["country"]?.string else {
            throw Refusal.permanent("an order has an amount and a country")
        }
        guard !fails(order) else {
            throw Refusal.permanent("no tax is known for \(country), order \(order["order"]?.int64 ?? 0)")
        }
        return [try Outgoing(to: "orders.priced", from: event, ["total": amount * 119 / 100])]
    }
}

/// Counts them. A repeat would show.
struct Totals: StatefulHandler {
    let name: HandlerName = "totals"

    var migrations: [Migration] {
        [Migration("1", "CREATE TABLE totals (partition int PRIMARY KEY, events bigint NOT NULL)")]
    }

    func apply(_ events: [Event], _ transaction: PostgresTransaction, _ context: Context) async throws -> [Outgoing] {
        for event in events {
            let order = try event.json()
            guard fails(order) else { continue }
            throw order["country"]?.string == "stuck"
                ? Refusal.unavailable("bank", "it is closed") : Refusal.permanent("the books are closed")
        }
        transaction.later(
            """
            INSERT INTO totals VALUES (\(events[0].partition.rawValue), \(events.count))
            ON CONFLICT (partition) DO UPDATE SET events = totals.events + excluded.events
            """)
        return []
    }
}

/// Remembers nothing of what it has done: what comes twice is shipped twice.
struct Shipper: Handler {
    let name: HandlerName = "shipper"

    func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
        let order = try event.json()
        guard !fails(order) else {
            throw order["country"]?.string == "frozen"
                ? Refusal.retry("the port is frozen") : Refusal.permanent("no ship goes there")
        }
        return [try Outgoing(to: "orders.shipped", from: event, ["shipped": true])]
    }
}

/// Files orders in their order, at an office that may be closed, slow, or asks to come again.
struct Clerk: Handler {
    let name: HandlerName = "clerk"

    func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
        let order = try event.json()
        if fails(order) {
            let line = Array("the clerk has order \(order["order"]?.int64 ?? 0)\n".utf8)
            _ = unsafe write(2, line, line.count)
        }
        switch order["country"]?.string {
        case "slow" where fails(order):
            // Whatever its deadline says: what it waits for does not listen.
            await Task.detached { while fails(order) { try? await Task.sleep(for: .milliseconds(50)) } }.value
        // It takes its thread, too.
        case "endless" where fails(order): while fails(order) {}
        case "later" where fails(order): throw Refusal.retry("the office asks to come again", after: .seconds(600))
        case _ where fails(order): throw Refusal.unavailable("office", "it is closed")
        case _: break
        }
        return [try Outgoing(to: "orders.filed", from: event, ["filed": true])]
    }
}

/// Hands tips on to the fleet that ships with Flotilla, and tells traces of how it asked for them.
struct Relay: BatchHandler {
    let name: HandlerName = "relay"

    func handle(_ events: [Event], _ context: Context) async throws -> [Outgoing] {
        let isBroken = try events.contains { fails(try $0.json()) }
        try await context.withSpan("ask the bureau", .client) { span, context in
            span.set("peer.service", "bureau")
            context.log.info("asked the bureau")
            if isBroken { throw Refusal.retry("the bureau does not answer") }
        }
        return events.map { event in
            Outgoing(to: "events.raw", from: event, json: event.record.valueBytes ?? [])
        }
    }
}
