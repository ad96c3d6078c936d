package import Contracts
package import HTTP
internal import Model
internal import Platform

/// What an edge is told.
package struct EdgeConfiguration: Sendable {
    package var catalog: TopicCatalog
    package var http = HTTPConfiguration()
    /// Who may publish. Default everybody, which is for this machine alone.
    package var access = Access()
    /// Requests a second of each caller; nil is any number.
    package var rate: Int?
    /// Web pages that may call, as `https://example.org`; `*` is any.
    package var origins: Set<String> = []
    /// How much of events waits for the log; streams of lines get the half of it. Default 128 MiB.
    package var maxQueuedBytes = 128 << 20
    package var version = "0"

    package init(_ catalog: TopicCatalog) {
        self.catalog = catalog
        // Five seconds, less what the server's keeper may be late.
        http.answerTimeout = .milliseconds(4700)
        // The producer's two threads have a third as much to do, whoever loads the edge and its log the rest: more of these
        // would only be woken more often, for less. Four are what one producer can follow.
        http.threads = min(4, max(1, Processors.available / 2))
        http.answerHeaders = Edge.securityHeaders
    }

    func allows(_ origin: String) -> Bool { origins.contains(origin) || origins.contains("*") }
}
