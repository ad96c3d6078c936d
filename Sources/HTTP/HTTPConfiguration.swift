/// How a server listens, and how long it has patience.
package struct HTTPConfiguration: Sendable {
    /// A name or an address. Default this machine alone.
    package var host = "127.0.0.1"
    /// 0 takes any that is free.
    package var port: UInt16 = 0
    /// Threads that serve connections; each has an epoll of its own. An edge chooses them by its processors.
    package var threads = 2
    /// More connections than this are accepted and closed at once. Default 20 000.
    package var maxConnections = 20_000
    /// The names and values of a request's headers may have so many bytes. Default 16 KiB.
    package var maxHeaderBytes = 16 << 10
    /// From the connection to the end of the first request's headers, TLS included. Default 20 s.
    package var headerTimeout: Duration = .seconds(20)
    /// From one answer to the end of the next request's headers. Default 75 s.
    package var idleTimeout: Duration = .seconds(75)
    /// How long a body may be behind `minBodyRate`, and so how long it may stand still. Default 20 s.
    package var bodyTimeout: Duration = .seconds(20)
    /// Bytes a second. Default 1 KiB.
    package var minBodyRate = 1 << 10
    /// How long the client may take to read an answer, and as much longer as `minBodyRate` gives it. Default 20 s.
    package var sendTimeout: Duration = .seconds(20)
    /// A body that nobody wants is read up to here, so that its sender gets to read the answer. Default 2 MiB.
    package var maxDiscardedBytes = 2 << 20
    /// The same of a stream that failed on its way, whose sender needs the answer more. Default 64 MiB.
    package var maxIgnoredBytes = 64 << 20
    /// What is kept of bodies, and made of them, may take so much in all until their requests are over, and half as much of
    /// one `Exchange.payer`; then `RequestHandler.overload` answers. Default 128 MiB.
    package var maxHeldBytes = 128 << 20
    /// How long an answer may take once the body is there; then `RequestHandler.timeout` answers. Default 5 s.
    package var answerTimeout: Duration = .seconds(5)
    package var tls: TLS?
    /// What every answer has.
    package var answerHeaders: [HTTPRequest.Field] = []

    package init() {}

    /// PEM texts.
    package struct TLS: Sendable {
        package var certificate: String
        package var key: String
        /// Who signs the certificates of clients; nil asks for none.
        package var clientAuthority: String?

        package init(certificate: String, key: String, clientAuthority: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.clientAuthority = clientAuthority
        }
    }
}

/// Why a server cannot start.
package struct HTTPFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// What stands behind a server. Everything here is called on the server's threads, so none of it may wait.
package protocol RequestHandler: Sendable {
    /// The headers are there; the body, if there is one, comes as the plan says.
    func begin(_ exchange: Exchange) -> BodyPlan
    /// The answer for a request that nobody may see: a message that is put together wrongly, headers that are too large.
    func refusal(_ status: Int, _ detail: String) -> HTTPResponse
    /// The answer for a request whose own did not come in time.
    func timeout(_ request: HTTPRequest) -> HTTPResponse
    /// The answer for a request whose body there is no memory for now.
    func overload(_ request: HTTPRequest) -> HTTPResponse
    /// An answer with what every answer has.
    func dressed(_ response: HTTPResponse, for request: HTTPRequest) -> HTTPResponse
    /// A request is over. `status` is nil when its connection broke before the answer.
    func finished(_ exchange: Exchange, status: Int?)
}

/// How a request's body is taken.
package enum BodyPlan: Sendable {
    /// Nobody wants it: this is the answer.
    case answer(HTTPResponse)
    /// Nobody wants it, and `Exchange.answer` will be called.
    case waitForAnswer
    /// Kept in memory up to a limit, beyond which `tooLarge` is the answer; `then` gets it all.
    case collect(limit: Int, tooLarge: @Sendable () -> HTTPResponse, then: @Sendable (Exchange, [UInt8]) -> Void)
    /// Given to a reader in the pieces that it comes in.
    case stream(any BodyReader)
}

/// Takes a body in pieces. Called on one thread at a time; what it keeps is its own, and to be told to `exchange.keep`.
package protocol BodyReader: AnyObject, Sendable {
    /// A piece, which is not empty. `exchange.pause()` in here has the next one wait for `exchange.resume()`. Returns how
    /// much of it was taken, at least a byte: the rest comes again.
    func take(_ piece: RawSpan, _ exchange: Exchange) -> Int
    /// There are no more: an answer is waited for.
    func end(_ exchange: Exchange)
}
