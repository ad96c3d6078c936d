internal import Glibc
internal import Platform

extension KeyRing {
    /// Changes a file of keys. Whoever else changes it comes before or after, so that no key that was revoked meanwhile
    /// comes back, and none that was made gets lost.
    package static func change(_ path: String, _ body: ([Entry]) throws -> [Entry]) throws {
        try Files.locked("\(path).lock") {
            let entries = Files.isGone(path) ? [] : try read(path)
            try replace(path, text(try body(entries)))
        }
    }

    /// Puts a new file in the old one's place, so that a reader sees one or the other.
    private static func replace(_ path: String, _ text: String) throws(SystemError) {
        let new = "\(path).new"
        unsafe unlink(new)
        try Files.create(new, text)
        guard unsafe chmod(new, 0o600) == 0 else { throw SystemError.last("chmod", new) }
        guard unsafe rename(new, path) == 0 else { throw SystemError.last("rename", path) }
    }
}
