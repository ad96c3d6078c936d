internal import JSON

/// What was found about one thing.
package struct Finding: Sendable {
    package enum State: String, Sendable, Comparable {
        case ok, warning, failed

        private var rank: Int {
            switch self {
            case .ok: 0
            case .warning: 1
            case .failed: 2
            }
        }

        package static func < (left: State, right: State) -> Bool { left.rank < right.rank }
    }

    let subject: String
    var state: State
    var detail: String
    /// What to do about it.
    var advice: String?

    package init(subject: String, state: State, detail: String, advice: String? = nil) {
        (self.subject, self.state, self.detail, self.advice) = (subject, state, detail, advice)
    }

    static func text(_ findings: [Finding], colours: Bool) -> String {
        let width = findings.map(\.subject.count).max() ?? 0
        return findings.map { finding in
            let mark = finding.state == .ok ? "ok     " : finding.state == .warning ? "warning" : "FAILED "
            let colour = finding.state == .ok ? "32" : finding.state == .warning ? "33" : "31"
            let shown = colours ? "\u{1b}[\(colour)m\(mark)\u{1b}[0m" : mark
            let padded = finding.subject + String(repeating: " ", count: width - finding.subject.count)
            let indent = "\n" + String(repeating: " ", count: width + 11)
            let detail = finding.detail.split(separator: "\n").joined(separator: indent)
            return "\(shown)  \(padded)  \(detail)\(finding.advice.map { "\(indent)→ \($0)" } ?? "")"
        }.joined(separator: "\n")
    }

    static func json(_ findings: [Finding]) -> String {
        var writer = JSONWriter()
        writer.array { list in
            for finding in findings {
                list.object { json in
                    json.member("subject", finding.subject)
                    json.member("state", finding.state.rawValue)
                    json.member("detail", finding.detail)
                    if let advice = finding.advice { json.member("advice", advice) }
                }
            }
        }
        return writer.text
    }
}
