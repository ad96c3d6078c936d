internal import Glibc
internal import Platform

/// Where programs of the machine are.
enum Programs {
    static func find(_ name: String, in environment: [String: String] = Settings.fromEnvironment().all) -> String? {
        let path = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        // What administrators use is not on everybody's path.
        return (path + ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"]).map { "\($0)/\(name)" }
            .first { unsafe access($0, X_OK) == 0 }
    }

    /// The environment without what would have a server speak another language or be somewhere else.
    static func plain(_ environment: [String: String]) -> [String: String] {
        environment.filter { name, _ in
            !name.hasPrefix("LC_") && !name.hasPrefix("PG") && name != "LANG" && name != "LANGUAGE"
        }.merging(["LC_ALL": "C"]) { $1 }
    }
}

enum URLText {
    /// A path as a part of a URL.
    static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: "."):
                String(UnicodeScalar(byte))
            case _:
                "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}
