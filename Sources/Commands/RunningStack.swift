internal import Glibc
internal import JSON
internal import Platform

/// Where `flotilla up` runs, for every other command: what its stack.json says counts as if it were set.
///
/// Settings come first: when one of those that stack.json names is set to something else, the command is meant for another
/// place, and nothing of the stack is used, so that no command mixes two.
package enum RunningStack {
    package static let defaultFolder = ".flotilla"
    /// What says that a fleet is meant which is not the stack's.
    private static let servers = [
        "KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "DATABASE_URL", "FLOTILLA_EDGE_URL",
    ]
    /// What the stack tells its own processes; they are told all they need.
    private static let mark = "FLOTILLA_STACK_PART"

    /// The folder of the stack that a command is about.
    package static func folder(_ arguments: Arguments? = nil) -> String {
        arguments?["data"] ?? Settings.fromEnvironment().all["FLOTILLA_DATA"] ?? defaultFolder
    }

    /// What a command has to do with the stack of its folder.
    enum Relation: Hashable, Sendable {
        /// None runs there, or the process is a part of one.
        case none
        case joined
        /// One runs there, and these settings are about another place.
        case hidden(by: [String])
    }

    /// Takes over what the stack says, but for what is left out. To be called before there is a second thread: it changes
    /// the environment.
    static func adopt(from folder: String, without: Set<String> = []) -> Relation {
        let settings = Settings.fromEnvironment().all
        guard settings[mark] == nil, let places = places(in: folder)?.filter({ !without.contains($0.key) }) else {
            return .none
        }
        let others = others(places, in: settings)
        guard others.isEmpty else { return .hidden(by: others) }
        for (name, value) in missing(places, in: settings) { unsafe setenv(name, value, 1) }
        return .joined
    }

    /// What to do when nothing says where a fleet is, neither a stack nor a setting; else nil.
    package static func advice(_ arguments: Arguments? = nil) -> String? {
        let (folder, settings) = (folder(arguments), Settings.fromEnvironment().all)
        let isToldOtherwise = servers.contains { settings[$0] != nil || settings[$0 + "_FILE"] != nil }
        guard !isToldOtherwise, places(in: folder) == nil else { return nil }
        return "no fleet runs in \(folder): make up (or flotilla up) starts one, and then nothing has to be set"
    }

    /// What is to be set; nothing when the settings are about another place.
    static func missing(_ places: [String: String], in settings: [String: String]) -> [String: String] {
        guard others(places, in: settings).isEmpty else { return [:] }
        var missing = places.filter { settings[$0.key] == nil && settings[$0.key + "_FILE"] == nil }
        // Both names at once would be a fault.
        if settings["KAFKA_BOOTSTRAP_SERVERS"] != nil { missing["KAFKA_BROKERS"] = nil }
        return missing
    }

    /// The settings that are about another place than the stack's.
    static func others(_ places: [String: String], in settings: [String: String]) -> [String] {
        func isOther(_ name: String, _ place: String?) -> Bool {
            settings[name].map { $0 != place } ?? (settings[name + "_FILE"] != nil)
        }
        // Topic files are only where somebody looks, not what is looked at.
        var others = places.filter { $0.key != "FLOTILLA_TOPICS" && isOther($0.key, $0.value) }.map(\.key)
        if isOther("KAFKA_BOOTSTRAP_SERVERS", places["KAFKA_BROKERS"]) { others.append("KAFKA_BOOTSTRAP_SERVERS") }
        return others.sorted().map { settings[$0] == nil ? $0 + "_FILE" : $0 }
    }

    /// The places of the stack that runs there, written by ourselves and by nobody else.
    private static func places(in folder: String) -> [String: String]? {
        let path = folder + "/stack.json"
        var about = stat()
        guard unsafe stat(path, &about) == 0, about.st_uid == geteuid(), about.st_mode & 0o022 == 0,
            let bytes = try? Files.read(path, limit: 1 << 20), let root = try? JSONDocument(parsing: bytes).root,
            let pid = root["pid"]?.int64, let began = root["began"]?.uint64,
            ProcessID(number: Int32(clamping: pid), began: began).isRunning
        else { return nil }
        let members = root["settings"].map { Array($0.members) } ?? []
        return Dictionary(members.compactMap { member in member.value.string.map { (member.name, $0) } }) { first, _ in
            first
        }
    }
}
