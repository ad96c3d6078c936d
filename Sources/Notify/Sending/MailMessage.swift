internal import Platform
internal import Transfers

/// A mail as it goes over the wire: plain text in UTF-8.
///
/// What comes from events stands in an encoded subject and in a body in base64, so that it can neither begin a header nor
/// end the message, whatever it is. Addresses are checked when they are made.
enum MailMessage {
    static func bytes(
        from: MailAddress, to: MailAddress, id: String, subject: String, text: String, at time: Timestamp
    ) -> [UInt8] {
        let host = from.text.split(separator: "@").last.map(String.init) ?? "localhost"
        let headers = [
            "From: <\(from)>", "To: <\(to)>", "Subject: \(encoded(subject))", "Date: \(date(time))",
            // The same for each try, so that whoever gets it twice sees that.
            "Message-ID: <\(id)@\(host)>", "Webhook-Id: \(id)", "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64",
        ]
        let body = Base64.encode(Array(text.utf8))
        var lines = headers + [""]
        var rest = Substring(body)
        while !rest.isEmpty {
            lines.append(String(rest.prefix(76)))
            rest = rest.dropFirst(76)
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n").utf8)
    }

    /// A subject in encoded words (RFC 2047), on lines of 78 characters at most, unless it is plain ASCII that fits one.
    static func encoded(_ subject: String) -> String {
        let isPlain = subject.utf8.allSatisfy { (0x20...0x7e).contains($0) }
        if isPlain, subject.utf8.count <= 66, !subject.contains("=?"), subject.first != " " { return subject }
        var words: [String] = []
        var piece: [UInt8] = []
        for scalar in subject.unicodeScalars {
            let bytes = Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            if piece.count + bytes.count > 42 {
                words.append(Base64.encode(piece))
                piece = []
            }
            piece += bytes
        }
        if !piece.isEmpty { words.append(Base64.encode(piece)) }
        return words.map { "=?utf-8?B?\($0)?=" }.joined(separator: "\r\n ")
    }

    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// `Mon, 04 May 2026 12:00:00 +0000`
    static func date(_ time: Timestamp) -> String {
        let parts = time.description.split(whereSeparator: { "-T.".contains($0) })
        guard parts.count >= 4, let month = Int(parts[1]), months.indices.contains(month - 1) else { return "" }
        let sinceThursday = (time.milliseconds / 86_400_000 % 7 + 7) % 7
        return "\(days[Int(sinceThursday)]), \(parts[2]) \(months[month - 1]) \(parts[0]) \(parts[3]) +0000"
    }
}
