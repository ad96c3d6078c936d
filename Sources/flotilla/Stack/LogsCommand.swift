internal import Commands
internal import Glibc
internal import Platform
internal import Stack

extension Command {
    static let logs = Command(
        name: "logs", summary: "what the processes of a stack said",
        details: "Reads the stack's files, so it works for one that has ended too.",
        operands: [
            Operand(
                name: "HANDLER", count: .optional, help: "of its workers alone; or a process: edge, broker, process-2")
        ],
        options: [
            data, Option(name: "follow", short: "f", help: "go on with what comes"),
            Option(name: "lines", short: "n", value: "N", fallback: "200", help: "so many of what is there"),
        ],
        joinsStack: false,
        run: { arguments in
            guard let count = arguments["lines"].flatMap({ Int($0) }), count >= 0 else {
                throw arguments.fault("--lines is a number from 0")
            }
            let folder = try StackFolder(existing: RunningStack.folder(arguments))
            let (wanted, follows) = (arguments.operands.first, arguments.has("follow"))
            let shown = Log(wanted: wanted)
            return try finish {
                var reader = LogReader(folder, of: wanted)
                let lines = try reader.next()
                guard follows || !lines.isEmpty else {
                    Program.complain(
                        "\(Program.name): nothing was said\(wanted.map { " by \($0)" } ?? "") in \(folder.path)")
                    return .failed
                }
                shown.put(lines.suffix(count))
                while follows {
                    try await Task.sleep(for: .milliseconds(200))
                    shown.put(try reader.next()[...])
                }
                return .ok
            }
        })

    private struct Log: Sendable {
        let wanted: String?
        let isColoured = isatty(1) == 1

        func put(_ lines: ArraySlice<LogReader.Line>) {
            guard !lines.isEmpty else { return }
            let width = max(9, lines.map(\.name.utf8.count).max() ?? 0)
            var text = ""
            for line in lines {
                text += ScreenLine.text(line.name, line.text, width: width, isColoured: isColoured) + "\n"
            }
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let count = unsafe rest.withUnsafeBytes { unsafe write(1, $0.baseAddress, $0.count) }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }
}
