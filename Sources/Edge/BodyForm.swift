internal import HTTP
internal import WebAPI

/// How a request brings its events.
enum BodyForm: Sendable {
    /// One object, or an array of them.
    case plain
    /// One object a line.
    case lines
    /// CloudEvents: structured, batched, binary.
    case cloudEvent, cloudEvents, binaryCloudEvent

    /// Whether the body may hold more than one event.
    var isList: Bool { self == .plain || self == .cloudEvents || self == .lines }

    static let taken = [
        "application/json", "application/x-ndjson", "application/cloudevents+json",
        "application/cloudevents-batch+json",
    ]

    init(_ request: HTTPRequest) throws(Edge.Refused) {
        // What most send.
        if request.isHeader("content-type", "application/json"), !CloudEvent.isBinary(request) {
            self = .plain
            return
        }
        let types = request.values("content-type")
        guard types.count <= 1 else { throw Edge.Refused(Problem(400, "content-type is there more than once")) }
        let type = types.first.map { MediaType($0) }
        if type?.essence == "application/cloudevents+json" {
            self = .cloudEvent
        } else if type?.essence == "application/cloudevents-batch+json" {
            self = .cloudEvents
        } else if CloudEvent.isBinary(request) {
            self = .binaryCloudEvent
            return
        } else if type?.essence == "application/json" {
            self = .plain
        } else if type?.essence == "application/x-ndjson" || type?.essence == "application/ndjson" {
            self = .lines
        } else {
            let found = type.map { ", is \($0.essence.prefix(80))" } ?? ", is missing"
            var problem = Problem(
                415,
                "content-type is to be one of \(Self.taken.joined(separator: ", "))\(found); "
                    + "or an event comes in the headers ce-id, ce-source, ce-type and ce-specversion")
            problem.headers = [HTTPRequest.Field("Accept-Post", Self.taken.joined(separator: ", "))]
            throw Edge.Refused(problem)
        }
        if let charset = type?.charset, charset != "utf-8", charset != "us-ascii" {
            throw Edge.Refused(Problem(415, "JSON is UTF-8: charset=\(charset.prefix(40)) is not taken"))
        }
    }
}
