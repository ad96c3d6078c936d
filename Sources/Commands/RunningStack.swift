internal import Glibc
internal import JSON
internal import Platform

/// Where `flotilla up` runs, for every other command: what its stack.json says counts as if it were set.
///
/// Settings come first: when one of those that stack.json names is set to something else, the command is meant for another
/// place, and nothing of the stack is used, so that no command mixes two.
package enum RunningStack {
    package static let defaultFolder = ".flotilla"
    /// What the stack tells its own processes; they are told all they need.
    private static let mark = "FLOTILLA_STACK_PART"

    /// The folder of the stack that a command is about.
    package static func folder(_ arguments: Arguments? = nil) -> String {
        arguments?["data"] ?? Settings.fromEnvironment().all["FLOTILLA_DATA"] ?? defaultFolder
    }

    /// Takes over what the stack says. To be called before there is a second thread: it changes the environment.
    static func adopt(from folder: String) {
        let settings = Settings.fromEnvironment().all
        guard settings[mark] == nil, let places = places(in: folder) else { return }
        for (name, value) in missing(places, in: settings) { unsafe setenv(name, value, 1) }
    }

    /// What is to be set; nothing when the settings are about another place.
    static func missing(_ places: [String: String], in settings: [String: String]) -> [String: String] {
        var places = places
        if settings["KAFKA_BOOTSTRAP_SERVERS"] != nil || settings["KAFKA_BOOTSTRAP_SERVERS_FILE"] != nil {
            guard settings["KAFKA_BOOTSTRAP_SERVERS"] == places["KAFKA_BROKERS"] else { return [:] }
            places["KAFKA_BROKERS"] = nil
        }
        // Topic files are only where somebody looks, not what is looked at.
        let speaks = places.contains { name, value in
            name != "FLOTILLA_TOPICS" && (settings[name].map { $0 != value } ?? (settings[name + "_FILE"] != nil))
        }
        return speaks ? [:] : places.filter { settings[$0.key] == nil && settings[$0.key + "_FILE"] == nil }
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
