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
            was built in unless another is named.
            """,
        operands: [Operand(name: "NAME", help: "the package, and its folder here")],
        options: [Option(name: "path", value: "CHECKOUT", help: "the checkout of flotilla to depend on")],
        run: { arguments in
            let name = arguments.operands[0]
            if let fault = PackageTemplate.fault(of: name) { throw arguments.fault(fault) }
            let template = PackageTemplate(name: name, checkout: try checkout(arguments))
            guard try isFree(name) else {
                Program.complain("\(Program.name): \(name) is there already and not empty: choose another name")
                return .failed
            }
            for file in template.files {
                let path = "\(name)/\(file.path)"
                try Files.createFolder(path.split(separator: "/").dropLast().joined(separator: "/"))
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
        var folder = program[...]
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            if isCheckout(String(folder)) { return String(folder) }
        }
        throw arguments.fault("\(program) lies in no checkout of flotilla: name one with --path CHECKOUT")
    }

    private static func isCheckout(_ folder: String) -> Bool {
        Files.exists("\(folder)/Package.swift") && Files.exists("\(folder)/Sources/FlotillaTesting")
    }
}
