internal import Glibc
internal import JSON
package import Platform

/// stack.json: where a running stack is, for every other command.
package struct RunningFile: Hashable, Sendable {
    package enum State: String, Sendable { case starting, ready, stopping }

    package struct Process: Hashable, Sendable {
        package let name: String
        package let role: String
        package let handler: String?
        package let id: ProcessID
        package let admin: String?
    }

    package var process = ProcessID.mine
    package var state = State.starting
    package var admin = ""
    /// What reaches it, by the names of the settings.
    package var settings: [String: String] = [:]
    package var processes: [Process] = []
    /// Where the topic files of workers are that came along.
    package var guests: [String] = []
    /// Where it was read.
    package private(set) var path = ""

    package init() {}

    /// The one of a folder, also when its stack has ended meanwhile; nil when there is none that can be read.
    package static func read(_ path: String) -> RunningFile? {
        guard let bytes = try? Files.read(path, limit: 1 << 20), let root = try? JSONDocument(parsing: bytes).root,
            let pid = root["pid"]?.int64, let began = root["began"]?.int64,
            let state = root["state"]?.string.flatMap(State.init(rawValue:))
        else { return nil }
        var file = RunningFile()
        file.path = path
        file.process = ProcessID(number: Int32(clamping: pid), began: UInt64(clamping: began))
        file.state = state
        file.admin = root["admin"]?.string ?? ""
        for setting in root["settings"].map({ Array($0.members) }) ?? [] {
            file.settings[setting.name] = setting.value.string
        }
        file.guests = root["guests"].map { $0.elements.compactMap(\.string) } ?? []
        for process in root["processes"].map({ Array($0.elements) }) ?? [] {
            guard let name = process["name"]?.string, let role = process["role"]?.string,
                let pid = process["pid"]?.int64, let began = process["began"]?.int64
            else { continue }
            file.processes.append(
                Process(
                    name: name, role: role, handler: process["handler"]?.string,
                    id: ProcessID(number: Int32(clamping: pid), began: UInt64(clamping: began)),
                    admin: process["admin"]?.string))
        }
        return file
    }

    /// Puts it in the old one's place, so that a reader sees one or the other.
    package func write(_ path: String) throws(SystemError) {
        let new = path + ".new"
        unsafe unlink(new)
        try Files.create(new, json + "\n")
        guard unsafe chmod(new, 0o600) == 0 else { throw SystemError.last("chmod", new) }
        guard unsafe rename(new, path) == 0 else { throw SystemError.last("rename", path) }
    }

    private var json: String {
        var writer = JSONWriter()
        writer.object { json in
            json.member("pid", Int64(process.number))
            json.member("began", process.began)
            json.member("state", state.rawValue)
            json.member("admin", admin)
            json.object("settings") { json in
                for (name, value) in settings.sorted(by: { $0.key < $1.key }) { json.member(name, value) }
            }
            json.array("guests") { list in for topics in guests { list.append(topics) } }
            json.array("processes") { list in
                for process in processes {
                    list.object { json in
                        json.member("name", process.name)
                        json.member("role", process.role)
                        if let handler = process.handler { json.member("handler", handler) }
                        json.member("pid", Int64(process.id.number))
                        json.member("began", process.id.began)
                        if let admin = process.admin { json.member("admin", admin) }
                    }
                }
            }
        }
        return writer.text
    }
}
