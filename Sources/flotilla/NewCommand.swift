internal import Commands
internal import Platform

extension Command {
    /// `new NAME`: a worker package of one's own.
    static let new = Command(
        name: "new",
        summary: "a worker package of your own: a handler, its topic files and their test",
        details: """
            Writes a Swift package into the folder NAME: a handler that runs, topic files that say what it reads and
            publishes, and a test that needs no broker. It depends on a checkout of flotilla, the one that this program
            was built in unless another is named, and lies outside of it.
            """,
        operands: [Operand(name: "NAME", help: "the package, and its folder here; or a path to it: ../NAME")],
        options: [Option(name: "path", value: "CHECKOUT", help: "the checkout of flotilla to depend on")],
        joinsStack: false,
        run: { arguments in
            let folder = arguments.operands[0]
            let name = folder.split(separator: "/").last.map(String.init) ?? ""
            if let fault = PackageTemplate.fault(of: name) { throw arguments.fault(fault) }
            let template = PackageTemplate(folder: folder, name: name, checkout: try checkout(arguments))
            guard try isFree(folder) else {
                Program.complain("\(Program.name): \(folder) is there already and not empty: choose another name")
                return .failed
            }
            if let around = checkout(around: parent(of: folder)) {
                Program.complain(
                    "\(Program.name): \(around) is a checkout of flotilla, and a package of yours is none of its files: "
                        + "make it beside, as \(Program.name) new \(around)/../\(name)")
                return .failed
            }
            for file in template.files {
                let path = "\(folder)/\(file.path)"
                try Files.createFolder(parent(of: path))
                try Files.create(path, file.text)
            }
            print(template.nextSteps)
            return .ok
        })

    private static func isFree(_ folder: String) throws -> Bool {
        guard Files.exists(folder) else { return true }
        // A repository that was just begun holds nothing that one sees.
        return try Files.names(in: folder).isEmpty
    }

    /// The folder of flotilla's own package: as named, or above the program that runs.
    private static func checkout(_ arguments: Arguments) throws -> String {
        if let named = arguments["path"] {
            guard let path = Files.resolved(named), isCheckout(path) else {
                throw arguments.fault("--path \(named.debugDescription) is no checkout of flotilla")
            }
            return path
        }
        let program = Files.resolved("/proc/self/exe") ?? ""
        guard let found = checkout(around: parent(of: program)) else {
            throw arguments.fault("\(program) lies in no checkout of flotilla: name one with --path CHECKOUT")
        }
        return found
    }

    /// The checkout that a folder is, or lies in. Of a path that is not there yet, what of it is there counts.
    private static func checkout(around path: String) -> String? {
        var path = path
        while !Files.exists(path) { path = parent(of: path) }
        guard let found = Files.resolved(path) else { return nil }
        var folder = found[...]
        while !folder.isEmpty {
            if isCheckout(String(folder)) { return String(folder) }
            folder = folder[..<(folder.lastIndex(of: "/") ?? folder.startIndex)]
        }
        return nil
    }

    private static func parent(of path: String) -> String {
        var path = path[...]
        while path.count > 1, path.hasSuffix("/") { path = path.dropLast() }
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func isCheckout(_ folder: String) -> Bool {
        Files.exists("\(folder)/Package.swift") && Files.exists("\(folder)/Sources/FlotillaTesting")
    }
}
