internal import Contracts
internal import HTTP
internal import JSON
internal import Model

/// The events of a request with an Idempotency-Key, and what of its answer has to be kept so that a repeat gets the same:
/// ids follow from the request.
enum RememberedEvents: Sendable {
    case event(id: String, EdgeTopic)
    case list(EventList)

    /// A list of refusals beyond this is not kept: it follows from the request too, as long as the topic's schema stays.
    private static let detailLimit = 64 << 10

    /// All of a request that its events are made of: where they go, how it is to be read, the attributes that came in
    /// headers, the body.
    static func whole(_ request: HTTPRequest, _ topic: TopicName, _ form: BodyForm, _ body: [UInt8]) -> [UInt8] {
        var text = "\(topic)\0\(form)\0"
        if form == .binaryCloudEvent {
            let fields = request.headers.filter { $0.name.hasPrefix("ce-") || $0.name == "content-type" }
            for field in fields.sorted(by: { $0.name < $1.name }) { text += "\(field.name)\0\(field.value)\0" }
        }
        return Array(text.utf8) + body
    }

    /// What is kept of an answer.
    func detail(of response: HTTPResponse) -> [UInt8] {
        var json = JSONWriter()
        switch self {
        case .event:
            guard let answer = try? JSONDocument(parsing: response.body).root else { return [] }
            json.object { json in
                for name in ["partition", "offset"] {
                    json.name(name)
                    if let value = answer[name] { json.append(value) } else { json.appendNull() }
                }
            }
        case .list:
            // Of the answer, because the log may have refused some that the list did not.
            let answer = response.status == 202 ? nil : try? JSONDocument(parsing: response.body).root
            json.array { list in
                guard let results = answer?["results"] else { return }
                for result in results.elements {
                    guard let index = result["index"], let error = result["error"] else { continue }
                    list.object { json in
                        json.name("index")
                        json.append(index)
                        json.name("error")
                        json.append(error)
                    }
                }
            }
        }
        return json.bytes.count <= Self.detailLimit ? json.bytes : []
    }

    /// The answer of which `detail` was kept.
    func response(_ status: Int, _ detail: [UInt8]) -> HTTPResponse {
        let kept = (try? JSONDocument(parsing: detail))?.root
        switch self {
        case .event(let id, let topic):
            var json = JSONWriter()
            json.object { json in
                json.member("id", id)
                json.member("topic", topic.topic.name.rawValue)
                for name in ["partition", "offset"] {
                    json.name(name)
                    if let value = kept?[name] { json.append(value) } else { json.appendNull() }
                }
            }
            return HTTPResponse(status, "application/json", json.bytes)
        case .list(let list):
            var refusals: [Int: String]?
            if let kept, kept.kind == .array {
                refusals = [:]
                for refusal in kept.elements {
                    guard let index = refusal["index"]?.int64 else { continue }
                    refusals?[Int(clamping: index)] = refusal["error"]?.string
                }
            }
            var response = list.response(refusals)
            response.status = status
            return response
        }
    }
}
