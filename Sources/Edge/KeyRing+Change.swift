internal import Glibc
internal import Platform

extension KeyRing {
    /// Changes a file of keys. Whoever else changes it comes before or after, so that no key that was revoked meanwhile
    /// comes back, and none that was made gets lost.
    package static func change(_ path: String, _ body: ([Entry]) throws -> [Entry]) throws {
        try Files.locked("\(path).lock") {
            let entries = Files.isGone(path) ? [] : try read(path)
            try replace(path, try body(entries))
        }
    }

    /// Puts a new file in the old one's place, so that a reader sees one or the other. One that would not be read as what it
    /// is to say stays out: nobody's key would hold.
    private static func replace(_ path: String, _ entries: [Entry]) throws {
        let new = "\(path).new"
        unsafe unlink(new)
        try Files.create(new, text(entries))
        guard unsafe chmod(new, 0o600) == 0 else { throw SystemError.last("chmod", new) }
        do throws(Fault) {
            guard try read(new).elementsEqual(entries, by: { $0 == $1 && $0.topics == $1.topics }) else {
                throw Fault("the new one would say something else")
            }
        } catch {
            unsafe unlink(new)
            throw Fault("\(path) stays as it is: \(error)")
        }
        guard unsafe rename(new, path) == 0 else { throw SystemError.last("rename", path) }
    }
}
