internal import Platform

/// What a webhook is signed with, as Standard Webhooks has it: `whsec_` and 24 to 64 bytes in base64. Never printed.
struct WebhookSecret: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    private let key: [UInt8]

    init?(_ text: String) {
        guard text.hasPrefix("whsec_"), let key = Base64.decode(String(text.dropFirst(6))),
            (24...64).contains(key.count)
        else { return nil }
        self.key = key
    }

    /// `v1,` and the signature over the id, the time in seconds and the body.
    func signature(id: String, seconds: Int64, body: [UInt8]) -> String {
        "v1," + Base64.encode(HMAC.sha256(Array("\(id).\(seconds).".utf8) + body, key: key))
    }

    var description: String { "whsec_(not shown)" }
    var customMirror: Mirror { Mirror(self, children: []) }
}
