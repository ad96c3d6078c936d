internal import Platform
internal import WebAPI

/// What somebody may do at the console.
package enum ConsoleRole: String, Sendable, Hashable, CaseIterable {
    /// Look, at what is not personal.
    case read
    /// Change things, and look at all.
    case operate

    func may(_ wanted: ConsoleRole) -> Bool { self == .operate || wanted == .read }
}

/// Somebody at the console.
package struct ConsoleUser: Sendable, Hashable {
    package let name: String
    package let role: ConsoleRole

    package init(_ name: String, _ role: ConsoleRole) {
        self.name = name
        self.role = role
    }
}

/// The tokens of `FLOTILLA_CONSOLE_TOKENS`: `NAME:ROLE:HASH`, with commas between them.
///
/// A token has 256 random bits, so a plain digest of it is as good as a slow one. What is compared takes as long for a near
/// miss as for a far one, and as long whoever it is.
package struct ConsoleTokens: Sendable {
    private let entries: [(user: ConsoleUser, digest: [UInt8])]

    /// Why a list is none; it repeats nothing of what may be secret.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String
    }

    package init(_ text: String) throws(Fault) {
        var entries: [(user: ConsoleUser, digest: [UInt8])] = []
        for (number, entry) in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }).enumerated() {
            let parts = entry.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            let place = "the \(number + 1). of them"
            guard parts.count == 3 else { throw Fault(description: "\(place) is not NAME:ROLE:HASH") }
            guard Credentials.isName(parts[0]) else {
                throw Fault(description: "\(place) has no name of letters, digits, dashes, underscores and dots")
            }
            guard let role = ConsoleRole(rawValue: parts[1]) else {
                throw Fault(description: "\(place), \(parts[0]), has a role that is neither read nor operate")
            }
            guard let digest = Credentials.bytes(hex: parts[2]), digest.count == 32 else {
                throw Fault(
                    description: "\(place), \(parts[0]), has a hash that is not 64 hexadecimal digits: "
                        + "flotilla console token makes one")
            }
            guard !entries.contains(where: { $0.user.name == parts[0] }) else {
                throw Fault(description: "\(parts[0]) is there more than once")
            }
            entries.append((ConsoleUser(parts[0], role), digest))
        }
        guard !entries.isEmpty else { throw Fault(description: "there is none in it") }
        self.entries = entries
    }

    /// Whose token it is; nil when nobody's.
    package func user(of token: some StringProtocol) -> ConsoleUser? {
        let digest = Self.digest(of: token)
        var found: ConsoleUser?
        for entry in entries {
            let difference = zip(entry.digest, digest).reduce(0) { $0 | ($1.0 ^ $1.1) }
            if difference == 0 { found = entry.user }
        }
        return found
    }

    /// A new token, which nobody can show again, and what the setting has of it.
    package static func make(_ user: ConsoleUser) -> (token: String, entry: String) {
        let token = "flc_" + Credentials.randomDigits(words: 4)
        return (token, "\(user.name):\(user.role.rawValue):\(hex(digest(of: token)))")
    }

    private static func digest(of token: some StringProtocol) -> [UInt8] {
        let digest = Digest(.sha256)
        digest.start()
        digest.add(Array(token.utf8))
        let bytes = digest.finishBytes()
        return (0..<32).map { bytes[$0] }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
