package import HTTP
package import JSON

/// An answer that says what went wrong: RFC 9457.
package struct Problem: Error, Sendable {
    package let status: Int
    /// A sentence about this case, and what to do.
    package var detail: String
    /// What is wrong where.
    package var errors: [Fault] = []
    /// Seconds.
    package var retryAfter: Int?
    package var headers: [HTTPRequest.Field] = []
    /// Written behind the members that every problem has.
    package var more: (@Sendable (inout JSONWriter) -> Void)?

    /// One thing that is wrong.
    package struct Fault: Hashable, Sendable {
        /// Of a list, which of its elements.
        package var index: Int?
        /// Where in the body, as a JSON pointer; or in which header, or in which parameter.
        package var pointer: String?
        package var header: String?
        package var parameter: String?
        package let detail: String

        package init(_ detail: String) { self.detail = detail }
    }

    package init(_ status: Int, _ detail: String, retryAfter: Int? = nil) {
        self.status = status
        self.detail = detail
        self.retryAfter = retryAfter
    }

    /// More are counted, not told.
    private static let errorLimit = 100

    package var response: HTTPResponse {
        var json = JSONWriter()
        json.object { json in
            json.member("type", "about:blank")
            json.member("title", Self.title(status))
            json.member("status", status)
            json.member("detail", detail)
            if !errors.isEmpty {
                json.array("errors") { list in
                    for fault in errors.prefix(Self.errorLimit) {
                        list.object { json in
                            if let index = fault.index { json.member("index", index) }
                            if let pointer = fault.pointer { json.member("pointer", pointer) }
                            if let header = fault.header { json.member("header", header) }
                            if let parameter = fault.parameter { json.member("parameter", parameter) }
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

    package static func title(_ status: Int) -> String {
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
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 503: "Service Unavailable"
        case _: "Error"
        }
    }
}
