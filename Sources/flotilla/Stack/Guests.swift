internal import Glibc
internal import Model
internal import Platform
internal import Stack

/// Workers that somebody wrote (`flotilla new`), for `up --with`: where their programs and topic files are, and whom they
/// work for.
enum Guests {
    static func find(_ paths: [String], _ options: StackOptions) throws -> [Guest] {
        var taken: [HandlerName: String] = [:]
        for handler in options.handlers { taken[handler] = "flotilla" }
        return try paths.map { path in
            let program = try program(path)
            let guest = Guest(
                program: program, topics: try topics(above: program), handlers: try handlers(of: program, options))
            for handler in guest.handlers {
                if let other = taken.updateValue(program, forKey: handler) {
                    throw StackFault("\(program) and \(other) both work for \(handler): give one handler another name")
                }
            }
            return guest
        }
    }

    /// A program as it is named, or the one that was built in the folder of a package.
    private static func program(_ path: String) throws(StackFault) -> String {
        guard let found = Files.resolved(path) else { throw StackFault("--with \(path): there is nothing") }
        var about = stat()
        guard unsafe stat(found, &about) == 0 else {
            throw StackFault("--with \(path): \(SystemError.last("stat", found))")
        }
        if about.st_mode & S_IFMT != S_IFDIR {
            guard unsafe access(found, X_OK) == 0 else { throw StackFault("--with \(path): that is no program") }
            return found
        }
        let name = found.split(separator: "/").last.map(String.init) ?? ""
        let places: [String] = ["release", "debug"].map { "\(found)/.build/\($0)/\(name)" }
        let built = places.first { unsafe access($0, X_OK) == 0 }
        guard let built else {
            throw StackFault(
                "--with \(path): it has no program .build/release/\(name): swift build -c release there, or name the program"
            )
        }
        return built
    }

    /// The topic files of the package that a program was built in.
    private static func topics(above program: String) throws(StackFault) -> String {
        var folder = program[...]
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            if Files.exists("\(folder)/Package.swift"), Files.exists("\(folder)/topics") { return "\(folder)/topics" }
        }
        throw StackFault("\(program) lies in no package with a folder topics, which says what its handlers read")
    }

    /// Asks the program itself.
    private static func handlers(of program: String, _ options: StackOptions) throws -> [HandlerName] {
        let pipe = try Pipe()
        var launch = Launch(program, ["handlers"], environment: options.settings.all)
        launch.deathSignal = SIGKILL
        let process = try launch.start(output: pipe.input)
        close(pipe.input)
        defer { close(pipe.output) }
        var said: [UInt8] = []
        var status: Int32 = 0
        let limit = Time.monotonicMilliseconds + 20_000
        var isOpen = true
        while isOpen, said.count < 65_536, Time.monotonicMilliseconds < limit {
            var waiting = pollfd(fd: pipe.output, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&waiting, 1, 1000) > 0 else { continue }
            var bytes = [UInt8](repeating: 0, count: 4096)
            let count = unsafe read(pipe.output, &bytes, bytes.count)
            isOpen = count > 0
            if count > 0 { said += bytes[..<count] }
        }
        if isOpen { kill(process.number, SIGKILL) }
        while unsafe waitpid(process.number, &status, 0) < 0, errno == EINTR {}
        let names = String(decoding: said, as: UTF8.self).split(whereSeparator: \.isNewline).map(String.init)
        let areNames = names.allSatisfy { name in
            name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
        }
        guard !isOpen, status == 0, !names.isEmpty, areNames else {
            throw StackFault(
                "\(program) is no worker of flotilla, or of an older one: `\(program) handlers` says "
                    + (names.first.map(\.debugDescription) ?? "nothing"))
        }
        return names.map { HandlerName($0) }
    }
}
