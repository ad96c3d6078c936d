import Glibc
import Platform
import TestServers
import TestSupport
import Testing

/// Bodies as gzip makes them.
enum Gzip {
    static func zip(_ text: String) throws -> [UInt8] { try zip(Array(text.utf8)) }

    static func zip(_ bytes: [UInt8]) throws -> [UInt8] {
        let folder = TemporaryFolder()
        let file = unsafe open(folder.path + "/plain", O_WRONLY | O_CREAT, 0o600)
        defer { close(file) }
        let written = unsafe bytes.withUnsafeBytes { unsafe write(file, $0.baseAddress, $0.count) }
        #expect(written == bytes.count)
        let pid = try Child.start("gzip", ["gzip", folder.path + "/plain"])
        var status: Int32 = 0
        unsafe _ = waitpid(pid, &status, 0)
        return try Files.read(folder.path + "/plain.gz", limit: 64 << 20) ?? []
    }
}
