internal import HTTP
internal import WebAPI

/// Who may come in, and what for. Every request passes here before anything else looks at it.
///
/// - The `Host` has to be one of ours: a page of a stranger whose name was made to lead to this machine (DNS rebinding) asks
///   with its own name.
/// - Nothing that identifies somebody is sent by a browser on its own: there are no cookies. A request that changes
///   something has to bring a header that pages of others cannot set without being asked for leave, which nobody gives
///   them, and when a browser says where it comes from, that has to be here.
struct Gate: Sendable {
    let hosts: Set<String>
    let tokens: ConsoleTokens?
    /// Who everybody is, where nobody is asked.
    let open: ConsoleUser?

    static let header: StaticString = "x-flotilla-console"

    /// What is wrong with where a request was sent to; nil when nothing is.
    func misdirection(_ request: HTTPRequest) -> Problem? {
        guard let text = request.header("host"), let host = Self.hostName(text), hosts.contains(host) else {
            let shown = (request.header("host") ?? "").prefix(80).debugDescription
            return Problem(
                421, "the console is not called \(shown): set FLOTILLA_CONSOLE_HOSTS to the names that lead to it")
        }
        return nil
    }

    /// Who it is.
    func user(_ request: HTTPRequest) throws(Problem) -> ConsoleUser {
        if let open { return open }
        guard let tokens, let text = request.header("authorization"), request.count("authorization") == 1 else {
            throw Self.unknown("who are you? Send the header Authorization: Bearer TOKEN")
        }
        let words = text.split(separator: " ", omittingEmptySubsequences: true)
        guard words.count == 2, words[0].lowercased() == "bearer" else {
            throw Self.unknown("authorization is to be: Bearer TOKEN")
        }
        guard let user = tokens.user(of: words[1]) else { throw Self.unknown("the token is not known here") }
        return user
    }

    private static func unknown(_ detail: String) -> Problem {
        var problem = Problem(401, detail)
        problem.headers = [HTTPRequest.Field("WWW-Authenticate", "Bearer realm=\"flotilla console\"")]
        return problem
    }

    /// Refuses what the page of somebody else may have made a browser ask. `changes`: whether it is to change something.
    func checkOrigin(_ request: HTTPRequest, changes: Bool) throws(Problem) {
        if let site = request.header("sec-fetch-site"), site != "same-origin", site != "none" {
            throw Problem(403, "the page of another site may not ask here")
        }
        if let origin = request.header("origin") {
            let parts = origin.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 3, parts[0] == "http:" || parts[0] == "https:", parts[1].isEmpty,
                String(parts[2]).lowercased() == request.header("host")?.lowercased()
            else { throw Problem(403, "the page of another site may not ask here") }
        }
        guard !changes || request.hasHeader(Self.header) else {
            throw Problem(403, "what changes something is asked with the header X-Flotilla-Console: 1")
        }
    }

    /// The name in `Host`, without its port and in lower case; nil when it is none.
    static func hostName(_ text: String) -> String? {
        let text = text.lowercased()
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            guard isPort(text[text.index(after: end)...]) else { return nil }
            return String(text[text.index(after: text.startIndex)..<end])
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, !name.isEmpty, isPort(text[name.endIndex...]) else { return nil }
        return String(name)
    }

    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty || text.hasPrefix(":") && UInt16(text.dropFirst()) != nil
    }
}
