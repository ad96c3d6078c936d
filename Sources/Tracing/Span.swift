public import Model

/// Something that takes time, as a tracing backend shows it: a request, the handling of an event, a statement.
///
/// Of a span that nobody keeps nothing is written down: `set`, `link` and `fail` do not even look at what they are given.
public struct Span: Sendable {
    public enum Kind: UInt64, Sendable {
        case `internal` = 1
        case server = 2
        case client = 3
        case producer = 4
        case consumer = 5
    }

    public enum Value: Hashable, Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
        ExpressibleByBooleanLiteral, ExpressibleByFloatLiteral
    {
        case text(String)
        case integer(Int64)
        case decimal(Double)
        case flag(Bool)

        public init(stringLiteral value: String) { self = .text(value) }
        public init(integerLiteral value: Int64) { self = .integer(value) }
        public init(floatLiteral value: Double) { self = .decimal(value) }
        public init(booleanLiteral value: Bool) { self = .flag(value) }
    }

    /// What those below this span and those who get something from it continue.
    public let place: TraceParent
    let parent: TraceParent?
    let kind: Kind
    /// Nanoseconds since 1970.
    let start: Int64
    public var name: String
    public private(set) var attributes: [(name: String, value: Value)] = []
    private(set) var links: [TraceParent] = []
    /// Why it failed, when it did.
    public private(set) var failure: String?

    /// What one span may hold; more is counted and left out.
    static let mostAttributes = 64
    static let mostLinks = 128
    static let longestText = 1024
    private(set) var droppedAttributes = 0
    private(set) var droppedLinks = 0

    init(_ name: String, _ kind: Kind, place: TraceParent, parent: TraceParent?, start: Int64) {
        self.name = name
        self.kind = kind
        self.place = place
        self.parent = parent
        self.start = start
    }

    /// A span that nobody keeps, where nothing is traced.
    package static let none = Span(
        "", .internal, place: TraceParent(trace: TraceID(high: 0, low: 1), span: 1, isSampled: false), parent: nil,
        start: 0)

    /// What it continues; of one that begins a trace, itself.
    package var origin: TraceParent { parent ?? place }

    /// Whether it is kept. Where it is not, all that is said of it costs nothing.
    public var isRecording: Bool { place.isSampled }

    /// Says something of it, under a name of OpenTelemetry's where there is one. No secrets and no payloads.
    public mutating func set(_ name: String, _ value: @autoclosure () -> Value) {
        guard isRecording else { return }
        if let place = attributes.firstIndex(where: { $0.name == name }) {
            attributes[place].value = value()
        } else if attributes.count < Self.mostAttributes {
            attributes.append((name, value()))
        } else {
            droppedAttributes += 1
        }
    }

    /// The same of what was not said before: it is not looked for. For what is said of every span.
    package mutating func add(_ name: String, _ value: @autoclosure () -> Value) {
        guard isRecording else { return }
        if attributes.isEmpty { attributes.reserveCapacity(16) }
        if attributes.count < Self.mostAttributes { attributes.append((name, value())) } else { droppedAttributes += 1 }
    }

    /// Another trace that has to do with this span: of a batch, the events.
    public mutating func link(_ other: TraceParent) {
        guard isRecording else { return }
        if links.count < Self.mostLinks { links.append(other) } else { droppedLinks += 1 }
    }

    /// Marks it failed.
    public mutating func fail(_ reason: @autoclosure () -> String) {
        if isRecording { failure = reason() }
    }

    /// As above, with what kind of error it was: a type or a status, of which there are few.
    public mutating func fail(_ reason: @autoclosure () -> String, type: @autoclosure () -> String) {
        fail(reason())
        set("error.type", .text(type()))
    }

    /// The span as OTLP has it, as a member of `scope_spans`.
    func write(to writer: inout ProtobufWriter, end: Int64) {
        writer.add(2) { span in
            span.add(1, identifier: place.trace.high, place.trace.low)
            span.add(2, identifier: place.span)
            if let parent { span.add(4, identifier: parent.span) }
            span.add(5, text: Self.cut(name))
            span.add(6, number: kind.rawValue)
            span.add(7, fixed64: UInt64(max(0, start)))
            span.add(8, fixed64: UInt64(max(start, end, 0)))
            for (name, value) in attributes { span.add(9) { $0.add(name, value) } }
            if droppedAttributes > 0 { span.add(10, number: UInt64(droppedAttributes)) }
            for link in links {
                span.add(13) { writer in
                    writer.add(1, identifier: link.trace.high, link.trace.low)
                    writer.add(2, identifier: link.span)
                    writer.add(6, fixed32: link.isSampled ? 1 : 0)
                }
            }
            if droppedLinks > 0 { span.add(14, number: UInt64(droppedLinks)) }
            if let failure {
                span.add(15) { status in
                    status.add(2, text: Self.cut(failure))
                    status.add(3, number: 2)
                }
            }
            span.add(16, fixed32: 1)
        }
    }

    /// As much as one text of a span may have, never through a character.
    static func cut(_ text: String) -> String {
        guard text.utf8.count > longestText else { return text }
        var end = text.utf8.index(text.startIndex, offsetBy: longestText)
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return String(text[..<end])
    }
}

extension ProtobufWriter {
    /// The members of a `KeyValue`.
    mutating func add(_ name: String, _ value: Span.Value) {
        add(1, text: Span.cut(name))
        add(2) { writer in
            switch value {
            case .text(let text): writer.add(1, text: Span.cut(text))
            case .flag(let flag): writer.add(2, number: flag ? 1 : 0)
            case .integer(let number): writer.add(3, number: UInt64(bitPattern: number))
            case .decimal(let number): writer.add(4, fixed64: number.bitPattern)
            }
        }
    }
}
