package import Model
package import Platform

/// Knows an event's id and those of all that may follow from what was found of it.
///
/// An output's id is derived from the event that it follows from, the handler and its number. So nothing has to say what
/// belongs together: for each record that is found, the ids of the handlers' first so many outputs are looked for as well.
package struct TraceFollower: Sendable {
    /// An event, as the once-only memory knows it too.
    package struct Name: Hashable, Sendable {
        package let source: String
        package let id: String

        package init(source: String, id: String) {
            self.source = source
            self.id = id
        }
    }

    /// What an output follows from.
    package struct Origin: Hashable, Sendable {
        package let event: Name
        package let handler: HandlerName
        package let number: Int

        package init(event: Name, handler: HandlerName, number: Int) {
            self.event = event
            self.handler = handler
            self.number = number
        }
    }

    package enum Match: Hashable, Sendable {
        /// The event that was asked for.
        case asked
        case output(Origin)
    }

    /// An event has hardly ever more outputs of one handler.
    package static let outputs = 32

    private let id: [UInt8]
    private let source: String?
    private var origins: [[UInt8]: Origin] = [:]
    private var followed: Set<Pair> = []

    private struct Pair: Hashable {
        let name: Name
        let handler: HandlerName
    }

    /// `source`: of this sender alone; two senders may use the same id.
    package init(id: String, source: String?) {
        self.id = Array(id.utf8)
        self.source = source
    }

    /// Nil for what is none of it. By the bytes of `ce_id` first, because it is asked of every record.
    package func match(id: [UInt8], source: @autoclosure () -> String?) -> Match? {
        if id == self.id {
            let sender = source()
            if self.source == nil || self.source == sender { return .asked }
        }
        guard let origin = origins[id], source() == "/flotilla/\(origin.handler)" else { return nil }
        return .output(origin)
    }

    /// A record of this event was found in a topic that these handlers read.
    package mutating func follow(_ name: Name, through handlers: [HandlerName]) {
        let sha1 = Digest(.sha1)
        for handler in handlers where followed.insert(Pair(name: name, handler: handler)).inserted {
            for number in 0..<Self.outputs {
                let id = EventEncoder.outputID(source: name.source, id: name.id, handler: handler, number, by: sha1)
                origins[Array(id.description.utf8)] = Origin(event: name, handler: handler, number: number)
            }
        }
    }
}

extension EventEncoder {
    /// The id of the output of this number that `handler` makes of an event.
    package static func outputID(
        source: String, id: String, handler: HandlerName, _ number: Int, by sha1: Digest = Digest(.sha1)
    ) -> UUIDValue {
        .version5(in: .flotillaEvents, by: sha1) {
            $0.add(Array("\(source)\u{0}\(id)\u{0}\(handler)\u{0}\(number)".utf8))
        }
    }
}
