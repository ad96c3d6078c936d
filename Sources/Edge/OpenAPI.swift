internal import Contracts
internal import HTTP
internal import JSON
internal import Model

/// /openapi.json: OpenAPI 3.1 of the same table that requests are found in.
enum OpenAPI {
    static func document(_ topics: [Topic]) -> [UInt8] {
        var json = JSONWriter(capacity: 8192)
        json.object { json in
            json.member("openapi", "3.1.0")
            json.object("info") { json in
                json.member("title", "Flotilla edge")
                json.member("version", "1")
                json.member(
                    "description", "Publishes events. A 2xx means that the log has acknowledged them.")
            }
            json.object("paths") { json in
                for route in Route.allCases {
                    for template in route.templates {
                        json.object(template) { path(&$0, route, template, topics) }
                    }
                }
            }
            json.object("components") { json in
                json.object("schemas") { json in
                    schema(&json, "Event", event)
                    schema(&json, "CloudEvent", cloudEvent)
                    schema(&json, "Published", published)
                    schema(&json, "Results", results)
                    schema(&json, "Problem", problem)
                }
            }
        }
        return json.bytes
    }

    private static func schema(_ json: inout JSONWriter, _ name: String, _ text: StaticString) {
        json.name(name)
        json.append(json: "\(text)".utf8)
    }

    private static func path(_ json: inout JSONWriter, _ route: Route, _ template: String, _ topics: [Topic]) {
        json.object(route.method.lowercased()) { json in
            json.member("summary", route.summary)
            json.member(
                "operationId", template.split(separator: "/").joined(separator: "_").filter { $0 != "{" && $0 != "}" })
            switch route {
            case .events, .topicEvents: publishing(&json, route, topics)
            case .live, .ready:
                answers(&json, [(200, "text/plain", nil)] + (route == .ready ? [(503, "text/plain", nil)] : []))
            case .health: answers(&json, [(200, "application/json", nil), (503, "application/json", nil)])
            case .description: answers(&json, [(200, "application/json", nil)])
            }
        }
    }

    private static func publishing(_ json: inout JSONWriter, _ route: Route, _ topics: [Topic]) {
        json.array("parameters") { list in
            if route == .topicEvents {
                list.object { json in
                    json.member("name", "topic")
                    json.member("in", "path")
                    json.member("required", true)
                    json.object("schema") { json in
                        json.member("type", "string")
                        json.array("enum") { list in
                            for name in topics.map(\.name.rawValue).sorted() { list.append(name) }
                        }
                    }
                }
            }
            for (name, about) in [
                (
                    "Idempotency-Key",
                    "Events without an id get one that follows from this, so that a repeat counts once."
                ),
                ("Prefer", "handling=lenient publishes the good events of a list that has others."),
            ] {
                list.object { json in
                    json.member("name", name)
                    json.member("in", "header")
                    json.member("description", about)
                    json.object("schema") { $0.member("type", "string") }
                }
            }
        }
        json.object("requestBody") { json in
            json.member("required", true)
            json.object("content") { json in
                content(
                    &json, "application/json",
                    ##"{"oneOf":[{"$ref":"#/components/schemas/Event"},{"type":"array","maxItems":500,"items":{"$ref":"#/components/schemas/Event"}}]}"##
                )
                content(&json, "application/x-ndjson", ##"{"type":"string"}"##)
                content(&json, "application/cloudevents+json", ##"{"$ref":"#/components/schemas/CloudEvent"}"##)
                content(
                    &json, "application/cloudevents-batch+json",
                    ##"{"type":"array","maxItems":500,"items":{"$ref":"#/components/schemas/CloudEvent"}}"##)
            }
        }
        let accepted =
            ##"{"oneOf":[{"$ref":"#/components/schemas/Published"},{"$ref":"#/components/schemas/Results"}]}"##
        let results = ##"{"$ref":"#/components/schemas/Results"}"##
        let fault = ##"{"$ref":"#/components/schemas/Problem"}"##
        answers(
            &json,
            [(202, "application/json", accepted), (207, "application/json", results)]
                + [400, 401, 403, 404, 405, 409, 411, 413, 415, 417, 422, 429, 431, 503].map {
                    ($0, "application/problem+json", fault)
                })
    }

    private static func answers(_ json: inout JSONWriter, _ answers: [(Int, String, String?)]) {
        json.object("responses") { json in
            for (status, type, schema) in answers {
                json.object("\(status)") { json in
                    json.member("description", status < 300 ? "as it should be" : Problem.title(status))
                    json.object("content") { content(&$0, type, schema ?? "{}") }
                }
            }
        }
    }

    private static func content(_ json: inout JSONWriter, _ type: String, _ schema: String) {
        json.object(type) { json in
            json.name("schema")
            json.append(json: schema.utf8)
        }
    }

    private static let event: StaticString =
        ##"{"type":"object","required":["event_type"],"properties":{"event_id":{"type":"string","minLength":1,"maxLength":255},"event_type":{"type":"string","minLength":1,"maxLength":255},"timestamp":{"oneOf":[{"type":"integer","minimum":0},{"type":"string","format":"date-time"}]},"campaign_id":{"type":"string","minLength":1,"maxLength":255},"user_id":{"type":"string","minLength":1,"maxLength":255},"value":{"type":"number"},"dimensions":{"type":"object","maxProperties":64,"additionalProperties":{"type":"string","maxLength":255}},"data":{"type":"object"}}}"##
    private static let cloudEvent: StaticString =
        ##"{"type":"object","required":["specversion","id","source","type"],"properties":{"specversion":{"const":"1.0"},"id":{"type":"string","minLength":1,"maxLength":255},"source":{"type":"string","minLength":1,"maxLength":255},"type":{"type":"string","minLength":1,"maxLength":255},"subject":{"type":"string"},"time":{"type":"string","format":"date-time"},"datacontenttype":{"type":"string"},"dataschema":{"type":"string"},"data":{},"data_base64":{"type":"string"}}}"##
    private static let published: StaticString =
        ##"{"type":"object","required":["id","topic","partition","offset"],"properties":{"id":{"type":"string"},"topic":{"type":"string"},"partition":{"type":"integer"},"offset":{"type":["integer","null"]}}}"##
    private static let results: StaticString =
        ##"{"type":"object","required":["accepted","rejected","results"],"properties":{"accepted":{"type":"integer"},"rejected":{"type":"integer"},"results":{"type":"array","items":{"type":"object","required":["index"],"properties":{"index":{"type":"integer"},"id":{"type":"string"},"error":{"type":"string"}}}}}}"##
    private static let problem: StaticString =
        ##"{"type":"object","required":["type","title","status","detail"],"properties":{"type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},"errors":{"type":"array","items":{"type":"object","required":["detail"],"properties":{"index":{"type":"integer"},"pointer":{"type":"string"},"header":{"type":"string"},"detail":{"type":"string"}}}}}}"##
}
