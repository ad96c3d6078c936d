/// A media type with its parameters: `application/json; charset=utf-8`.
struct MediaType: Hashable, Sendable {
    /// In lower case.
    let essence: String
    let charset: String?

    init(_ text: String) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false).map { $0.trimmed }
        essence = parts[0].lowercased()
        charset =
            parts.dropFirst().compactMap { part -> String? in
                let pair = part.split(separator: "=", maxSplits: 1).map { $0.trimmed }
                guard pair.count == 2, pair[0].lowercased() == "charset" else { return nil }
                return String(pair[1].filter { $0 != "\"" }).lowercased()
            }.first
    }

    /// RFC 6839: what ends in `+json` is JSON too.
    var isJSON: Bool { essence == "application/json" || essence == "text/json" || essence.hasSuffix("+json") }
}

extension StringProtocol {
    /// Without spaces and tabs around it.
    var trimmed: String {
        var text = Substring(self).utf8
        while let first = text.first, first == 32 || first == 9 { text.removeFirst() }
        while let last = text.last, last == 32 || last == 9 { text.removeLast() }
        return String(Substring(text))
    }
}
