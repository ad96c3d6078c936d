import Contracts
import Flotilla
import FlotillaTesting
import Kafka
import Synchronization

/// A handler that does what the first word of an event's id says, and notes whom it was called for.
final class ScriptedHandler: Handler {
    let name: HandlerName = "scripted"
    /// How many calls find their dependency away before it is back.
    private let outage: Mutex<Int>
    private let calls = Mutex<[String]>([])

    init(outage: Int = 4) { self.outage = Mutex(outage) }

    var handled: [String] { calls.withLock { $0 } }

    func handle(_ event: Event, _ context: Context) async throws -> [Outgoing] {
        calls.withLock { $0.append(event.id) }
        func output(_ part: Int) -> Outgoing {
            Outgoing(to: "results", from: event, type: "result", json: Array("\"\(event.id) \(part)\"".utf8))
        }
        switch event.id.prefix(while: { $0 != "-" }) {
        case "none": return []
        case "two": return [output(1), output(2)]
        case "again" where context.attempt < 3: throw Refusal.retry("not yet")
        case "later" where context.attempt < 5: throw Refusal.retry("later")
        case "hopeless": throw Refusal.retry("never")
        case "poison": throw Refusal.permanent("poisoned")
        case "odd": _ = try event.json()
        case "away":
            let isAway = outage.withLock { left in
                left -= 1
                return left >= 0
            }
            if isAway { throw Refusal.unavailable("shop", "closed") }
        case _: break
        }
        return [output(1)]
    }

    /// The same, for many events in one call: all of them fail when one does.
    struct Batches: BatchHandler {
        let handler: ScriptedHandler
        var name: HandlerName { handler.name }

        func handle(_ events: [Event], _ context: Context) async throws -> [Outgoing] {
            var outputs: [Outgoing] = []
            for event in events { outputs += try await handler.handle(event, context) }
            return outputs
        }
    }

    /// What is sent: events of every kind among each other, and records that are no events.
    static var records: [OutgoingRecord] {
        let kinds = ["one", "none", "two", "again", "away", "later", "poison", "hopeless", "odd", "one"]
        let events = kinds.enumerated().map { index, kind in
            record("\(kind)-\(index)", key: "key \(index % 3)", value: kind == "odd" ? "{" : "{}")
        }
        let garbage = OutgoingRecord(
            topic: "events", key: [0, 0xff], value: [0xfe, 0], headers: [Header("x", [0xfd]), Header("empty", nil)])
        return events + [garbage] + [record("one-last", key: nil, value: "{}")]
    }

    static func record(_ id: String, key: String?, value: String) -> OutgoingRecord {
        OutgoingRecord(
            topic: "events", key: key.map { Array($0.utf8) }, value: Array(value.utf8),
            headers: [
                Header("ce_id", id), Header("ce_source", "/test"), Header("ce_type", "made"), Header("x", [0xfe]),
            ])
    }

    /// What has to become of an event, by its id; a record that is none has the empty one.
    static func reason(_ id: String, _ policy: ConsumerPolicy) -> String? {
        switch id.prefix(while: { $0 != "-" }) {
        case "": "undecodable"
        case "odd": "undecodable"
        case "poison": "permanent"
        case "hopeless": "exhausted"
        // Strict order has no retry topics, so its tries are over before it would go well.
        case "later": policy.ordering == .partition ? "exhausted" : nil
        case _: nil
        }
    }
}
