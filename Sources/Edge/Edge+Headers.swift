internal import HTTP
internal import WebAPI

// What the headers of a request ask for.
extension Edge {
    static func isGzip(_ request: HTTPRequest) throws(Refused) -> Bool {
        guard request.hasHeader("content-encoding") else { return false }
        guard request.count("content-encoding") == 1 else {
            throw Refused(Problem(400, "content-encoding is there more than once: a body may be zipped once"))
        }
        switch request.header("content-encoding")?.lowercased() {
        case nil, "", "identity": return false
        case "gzip", "x-gzip": return true
        case .some:
            var problem = Problem(415, "content-encoding may be gzip, or not be there")
            problem.headers = [HTTPRequest.Field("Accept-Encoding", "gzip, identity")]
            throw Refused(problem)
        }
    }

    /// Idempotency-Key as its draft has it, in quotes, or plain as most send it.
    static func key(_ request: HTTPRequest) throws(Refused) -> String? {
        guard request.hasHeader("idempotency-key") else { return nil }
        let values = request.values("idempotency-key")
        guard let value = values.first else { return nil }
        var key = value.trimmed
        if key.count >= 2, key.hasPrefix("\""), key.hasSuffix("\"") { key = String(key.dropFirst().dropLast()) }
        guard values.count == 1, EnvelopeText.fault(key) == nil else {
            throw Refused(Problem(400, "Idempotency-Key is one text of 1 to \(Limits.id) bytes"))
        }
        return key
    }

    /// RFC 7240: `Prefer: handling=lenient`.
    static func isLenient(_ request: HTTPRequest) -> Bool {
        request.values("prefer").contains { value in
            value.split(separator: ",").contains { preference in
                // What follows a semicolon are parameters, of which there are none for this.
                let own = preference.prefix { $0 != ";" }.lowercased()
                return own.filter { $0 != "\"" && $0 != " " && $0 != "\t" } == "handling=lenient"
            }
        }
    }
}
