package import Contracts
package import HTTP
internal import Model

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
        // Five seconds, less what the server's sweeper may be late.
        http.answerTimeout = .milliseconds(4700)
        http.answerHeaders = Edge.securityHeaders
    }

    /// Whether only this machine can reach a host.
    package static func isLoopback(_ host: String) -> Bool {
        // A name may begin with these digits too.
        host == "localhost" || host == "::1"
            || host.hasPrefix("127.") && host.utf8.allSatisfy { $0 == 0x2e || (0x30...0x39).contains($0) }
    }

    func allows(_ origin: String) -> Bool { origins.contains(origin) || origins.contains("*") }
}
