internal import Contracts
internal import HTTP
internal import Model
internal import WebAPI

/// /openapi.json of the edge.
enum Description {
    /// `asksBearers`: whether callers show who they are with a key or a token.
    static func document(_ topics: [Topic], asksBearers: Bool) -> [UInt8] {
        var api = OpenAPI(
            title: "Flotilla edge",
            about: """
                Publishes events. A 2xx means that the log has acknowledged them. With headers ce-specversion, ce-id, \
                ce-source and ce-type the body is a CloudEvent's data, of any type. Bodies may be gzip (Content-Encoding).
                """)
        api.hasBearers = asksBearers
        api.schemas = [
            ("Event", event), ("CloudEvent", cloudEvent), ("Published", published), ("Results", results),
        ]
        return api.document(of: Route.self) { route in
            var operation = OpenAPI.Operation()
            switch route {
            case .events, .topicEvents: publishing(&operation, route, topics)
            case .live: operation.answer([200], OpenAPI.Content("text/plain"))
            case .ready: operation.answer([200, 503], OpenAPI.Content("text/plain"))
            case .health: operation.answer([200, 503], OpenAPI.Content("application/json"))
            case .description: operation.answer([200], OpenAPI.Content("application/json"))
            }
            return operation
        }
    }

    private static func publishing(_ operation: inout OpenAPI.Operation, _ route: Route, _ topics: [Topic]) {
        if route == .topicEvents {
            let names = topics.map(\.name.rawValue).sorted().map { "\"\($0)\"" }.joined(separator: ",")
            operation.parameters.append(
                OpenAPI.Parameter("topic", in: .path, schema: #"{"type":"string","enum":[\#(names)]}"#))
        }
        operation.parameters += [
            OpenAPI.Parameter(
                "Idempotency-Key", in: .header,
                "Events without an id get one that follows from this, so that a repeat counts once."),
            OpenAPI.Parameter(
                "Prefer", in: .header, "handling=lenient publishes the good events of a list that has others."),
        ]
        operation.body = [
            OpenAPI.Content(
                "application/json",
                ##"{"oneOf":[{"$ref":"#/components/schemas/Event"},{"type":"array","maxItems":500,"items":{"$ref":"#/components/schemas/Event"}}]}"##
            ),
            OpenAPI.Content("application/x-ndjson", #"{"type":"string"}"#),
            .named("CloudEvent", as: "application/cloudevents+json"),
            OpenAPI.Content(
                "application/cloudevents-batch+json",
                ##"{"type":"array","maxItems":500,"items":{"$ref":"#/components/schemas/CloudEvent"}}"##),
        ]
        operation.answer(
            [202],
            OpenAPI.Content(
                "application/json",
                ##"{"oneOf":[{"$ref":"#/components/schemas/Published"},{"$ref":"#/components/schemas/Results"}]}"##))
        operation.answer([207], .named("Results"))
        operation.answer([400, 401, 403, 404, 405, 409, 411, 413, 415, 417, 422, 429, 431, 503], .problem)
    }

    private static let event: StaticString =
        ##"{"type":"object","required":["event_type"],"properties":{"event_id":{"type":"string","minLength":1,"maxLength":255},"event_type":{"type":"string","minLength":1,"maxLength":255},"timestamp":{"oneOf":[{"type":"integer","minimum":0},{"type":"string","format":"date-time"}]},"campaign_id":{"type":"string","minLength":1,"maxLength":255},"user_id":{"type":"string","minLength":1,"maxLength":255},"value":{"type":"number"},"dimensions":{"type":"object","maxProperties":64,"additionalProperties":{"type":"string","maxLength":255}},"data":{"type":"object"}}}"##
    private static let cloudEvent: StaticString =
        ##"{"type":"object","required":["specversion","id","source","type"],"properties":{"specversion":{"const":"1.0"},"id":{"type":"string","minLength":1,"maxLength":255},"source":{"type":"string","minLength":1,"maxLength":255},"type":{"type":"string","minLength":1,"maxLength":255},"subject":{"type":"string"},"time":{"type":"string","format":"date-time"},"datacontenttype":{"type":"string"},"dataschema":{"type":"string"},"data":{},"data_base64":{"type":"string"}}}"##
    private static let published: StaticString =
        ##"{"type":"object","required":["id","topic","partition","offset"],"properties":{"id":{"type":"string"},"topic":{"type":"string"},"partition":{"type":"integer"},"offset":{"type":["integer","null"]}}}"##
    private static let results: StaticString =
        ##"{"type":"object","required":["accepted","rejected","results"],"properties":{"accepted":{"type":"integer"},"rejected":{"type":"integer"},"results":{"type":"array","items":{"type":"object","required":["index"],"properties":{"index":{"type":"integer"},"id":{"type":"string"},"error":{"type":"string"}}}}}}"##
}
