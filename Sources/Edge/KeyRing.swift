package import Platform
internal import Synchronization
internal import WebAPI

/// The API keys of a file: one a line, hashed.
///
///     ID NAME TOPICS SHA256 CREATED
///
/// A key is `flk_ID_SECRET`. The secret is 256 random bits, so a plain digest of it is as good as a slow one; what is
/// compared takes as long for a near miss as for a far one.
package final class KeyRing: Sendable {
    package struct Entry: Hashable, Sendable {
        package let id: String
        package let name: String
        /// Nil is all.
        package let topics: Set<String>?
        let digest: [UInt8]
        package let created: String
        let bearer: Bearer

        init(id: String, name: String, topics: Set<String>?, digest: [UInt8], created: String) {
            self.id = id
            self.name = name
            self.topics = topics
            self.digest = digest
            self.created = created
            bearer = Bearer(digest, Caller(name, topics: topics))
        }

        package static func == (one: Entry, other: Entry) -> Bool { one.line == other.line }
        package func hash(into hasher: inout Hasher) { hasher.combine(line) }

        var line: String {
            let digits = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            return "\(id) \(name) \(topics?.sorted().joined(separator: ",") ?? "*") \(digits) \(created)"
        }
    }

    /// What a key is compared with, and whose it is. An object, because each request asks for one.
    final class Bearer: Sendable {
        let digest: [UInt8]
        let caller: Caller

        init(_ digest: [UInt8], _ caller: Caller) {
            self.digest = digest
            self.caller = caller
        }
    }

    /// Why a file of keys cannot be used.
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package let description: String

        package init(_ description: String) { self.description = description }
    }

    private let file: WatchedFile<[String: Bearer]>
    /// One for all, because making one costs more than a digest.
    private let sha256 = Mutex(Digest(.sha256))

    private static let fileLimit = 4 << 20

    package init(path: String, log: Log, now: Int64) throws(Fault) {
        file = try WatchedFile(path, gone: [:], log: log, now: now) { path throws(Fault) in
            Self.byID(try Self.read(path))
        }
    }

    /// Whom a key belongs to. `now` is the monotonic clock's.
    func caller(of key: String, now: Int64) -> Caller? { caller(of: key.utf8.span, now: now) }

    /// As above, for a key that is bytes.
    func caller(of key: Span<UInt8>, now: Int64) -> Caller? {
        guard Self.hasPrefix(key, "flk_"), key.count < 200 else { return nil }
        var end = 4
        while end < key.count, key[end] != UInt8(ascii: "_") { end += 1 }
        guard end < key.count else { return nil }
        let id = unsafe key.extracting(4..<end).withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
        guard let bearer = file.value(now: now)[id] else { return nil }
        let digest = sha256.withLock { digest in
            digest.start()
            unsafe digest.add(key.bytes)
            return digest.finishBytes()
        }
        guard Self.isEqual(digest, bearer.digest) else { return nil }
        return bearer.caller
    }

    /// Whether a text begins with these bytes.
    static func hasPrefix(_ text: Span<UInt8>, _ prefix: StaticString) -> Bool {
        guard text.count >= prefix.utf8CodeUnitCount else { return false }
        for index in 0..<prefix.utf8CodeUnitCount where unsafe text[index] != prefix.utf8Start[index] { return false }
        return true
    }

    private static func byID(_ entries: [Entry]) -> [String: Bearer] {
        Dictionary(entries.map { ($0.id, $0.bearer) }, uniquingKeysWith: { first, _ in first })
    }

    static func digest(_ key: String) -> [UInt8] {
        let digest = unsafe Digest.sha256(Array(key.utf8).span.bytes)
        return digest.indices.map { digest[$0] }
    }

    /// Looks at every byte, however early they differ.
    static func isEqual(_ one: InlineArray<32, UInt8>, _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        var difference: UInt8 = 0
        for index in one.indices { difference |= one[index] ^ other[index] }
        return difference == 0
    }

    // MARK: The file

    /// What a file holds, in its order.
    package static func read(_ path: String) throws(Fault) -> [Entry] {
        let bytes: [UInt8]?
        do throws(SystemError) {
            bytes = try Files.read(path, limit: fileLimit)
        } catch { throw Fault("\(error)") }
        guard let bytes, let text = String(validating: bytes, as: UTF8.self) else {
            throw Fault("\(path) is no file of keys")
        }
        var entries: [Entry] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard !line.isEmpty, !line.hasPrefix("#") else { continue }
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 5, Credentials.isName(words[1]), let digest = Credentials.bytes(hex: words[3]),
                digest.count == 32
            else {
                throw Fault("\(path):\(number + 1): is not ID NAME TOPICS SHA256 CREATED")
            }
            let topics = words[2] == "*" ? nil : Set(words[2].split(separator: ",").map(String.init))
            entries.append(Entry(id: words[0], name: words[1], topics: topics, digest: digest, created: words[4]))
        }
        return entries
    }

    /// A new key, which nobody can show again, and what the file keeps of it.
    package static func make(_ name: String, topics: Set<String>?, now: Timestamp) -> (key: String, entry: Entry) {
        let id = String(Credentials.randomDigits(words: 1).prefix(12))
        let key = "flk_\(id)_\(Credentials.randomDigits(words: 4))"
        return (key, Entry(id: id, name: name, topics: topics, digest: digest(key), created: now.description))
    }

    /// The file's text for these keys.
    package static func text(_ entries: [Entry]) -> String {
        "# API keys of the edge, hashed: `flotilla keys` writes this.\n" + entries.map { $0.line + "\n" }.joined()
    }
}
