package import Platform
internal import WebAPI

/// What those may publish to who do not come with a key: a file, one caller a line.
///
///     jwt:shop events.raw,orders
///     cert:till.7 *
///     jwt:* events.raw
///
/// Whom no line names may publish nothing.
package final class Grants: Sendable {
    /// What a line grants.
    enum Scope: Hashable, Sendable {
        case all
        case topics(Set<String>)
    }

    private let file: WatchedFile<[String: Scope]>

    private static let fileLimit = 4 << 20

    package init(path: String, log: Log, now: Int64) throws(KeyRing.Fault) {
        file = try WatchedFile(path, gone: [:], log: log, now: now) { path throws(KeyRing.Fault) in
            try Self.read(path)
        }
    }

    /// The same caller, with the topics that it may publish to.
    func granted(_ caller: Caller, now: Int64) -> Caller {
        let scopes = file.value(now: now)
        let everybody = caller.realm.rawValue + "*"
        switch scopes[caller.name] ?? scopes[everybody] ?? .topics([]) {
        case .all: return caller
        case .topics(let topics): return caller.limited(to: topics)
        }
    }

    static func read(_ path: String) throws(KeyRing.Fault) -> [String: Scope] {
        let bytes: [UInt8]?
        do throws(SystemError) { bytes = try Files.read(path, limit: fileLimit) } catch {
            throw KeyRing.Fault("\(error)")
        }
        guard let bytes, let text = String(validating: bytes, as: UTF8.self) else {
            throw KeyRing.Fault("\(path) is no file of grants")
        }
        var scopes: [String: Scope] = [:]
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
            guard let caller = words.first, !caller.hasPrefix("#") else { continue }
            let realm = Caller.Realm.named.first { caller.hasPrefix($0.rawValue) }
            let name = realm.map { String(caller.dropFirst($0.rawValue.count)) } ?? ""
            let topics = words.count == 2 ? words[1].split(separator: ",").map(String.init) : []
            guard name == "*" || Credentials.isNameForAny(name), !topics.isEmpty else {
                throw KeyRing.Fault("\(path):\(number + 1): is not jwt:NAME TOPICS, or cert:NAME TOPICS; * is all")
            }
            guard scopes[caller] == nil else {
                throw KeyRing.Fault("\(path):\(number + 1): \(caller) is there twice")
            }
            scopes[caller] = topics == ["*"] ? .all : .topics(Set(topics))
        }
        return scopes
    }
}
