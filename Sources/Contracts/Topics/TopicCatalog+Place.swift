public import Model
public import Platform

extension TopicCatalog {
    /// Where the settings say that the topic files are, and what is put before every name.
    public static func place(_ settings: inout Settings) -> (folder: String, namespace: Namespace) {
        let folder = settings.text("FLOTILLA_TOPICS") ?? "./topics"
        let name = settings.value("FLOTILLA_NAMESPACE", expected: "lower-case letters, digits and dashes") { text in
            text.utf8.allSatisfy(isNameByte) ? text : nil
        }
        return (folder, Namespace(name ?? ""))
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        case _: false
        }
    }
}
