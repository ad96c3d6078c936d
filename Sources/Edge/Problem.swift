internal import HTTP
internal import JSON

/// An answer that says what went wrong: RFC 9457.
struct Problem: Sendable {
    let status: Int
    /// A sentence about this case, and what to do.
    let detail: String
    /// What is wrong where; of a list, with the number of the event.
    var errors: [(index: Int?, fault: EventFault)] = []
    /// Seconds.
    var retryAfter: Int?
    var headers: [HTTPRequest.Field] = []
    /// Written behind the members that every problem has.
    var more: (@Sendable (inout JSONWriter) -> Void)?

    init(_ status: Int, _ detail: String, retryAfter: Int? = nil) {
        self.status = status
        self.detail = detail
        self.retryAfter = retryAfter
    }

    init(_ refusal: EventRefusal) {
        switch refusal.kind {
        case .illegible: self.init(400, "the event cannot be read")
        case .invalid: self.init(422, "the event is not published: see errors")
        case .tooLarge: self.init(413, refusal.text)
        }
        errors = refusal.faults.map { (nil, $0) }
    }

    /// More are counted, not told.
    private static let errorLimit = 100

    var response: HTTPResponse {
        var json = JSONWriter()
        json.object { json in
            json.member("type", "about:blank")
            json.member("title", Self.title(status))
            json.member("status", status)
            json.member("detail", detail)
            if !errors.isEmpty {
                json.array("errors") { list in
                    for (index, fault) in errors.prefix(Self.errorLimit) {
                        list.object { json in
                            if let index { json.member("index", index) }
                            switch fault.place {
                            case .pointer(let pointer): json.member("pointer", pointer)
                            case .header(let name): json.member("header", name)
                            }
                            json.member("detail", fault.detail)
                        }
                    }
                }
            }
            more?(&json)
        }
        var response = HTTPResponse(status, "application/problem+json", json.bytes, headers: headers)
        if let retryAfter { response.headers.append(HTTPRequest.Field("Retry-After", "\(retryAfter)")) }
        return response
    }

    static func title(_ status: Int) -> String {
        switch status {
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 411: "Length Required"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 417: "Expectation Failed"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 503: "Service Unavailable"
        case _: "Error"
        }
    }
}
