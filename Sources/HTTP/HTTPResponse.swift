/// What a request is answered with.
package struct HTTPResponse: Sendable {
    package var status: Int
    package var headers: [HTTPRequest.Field]
    package var body: [UInt8]
    /// Whether the connection ends with it.
    package var closes = false
    /// What comes in the place of `body`, bit by bit.
    package var feed: ResponseFeed?

    package init(_ status: Int, _ type: String? = nil, _ body: [UInt8] = [], headers: [HTTPRequest.Field] = []) {
        self.status = status
        self.headers = headers
        self.body = body
        if let type { self.headers.append(HTTPRequest.Field("Content-Type", type)) }
    }

    package static func text(_ status: Int, _ text: String) -> HTTPResponse {
        HTTPResponse(status, "text/plain; charset=utf-8", Array(text.utf8))
    }

    package func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}
