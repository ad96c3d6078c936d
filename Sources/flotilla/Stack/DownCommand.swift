internal import Commands
internal import Glibc
internal import Platform
internal import Stack

extension Command {
    static let down = Command(
        name: "down", summary: "end the stack that runs in a folder, in order",
        details: "Returns when nothing of it runs any more. What was acknowledged is there at the next up.",
        options: [data], joinsStack: false,
        run: { arguments in
            let folder = try StackFolder(existing: RunningStack.folder(arguments))
            guard folder.isTaken else {
                print("no stack runs in \(folder.path)")
                return .ok
            }
            guard let file = RunningFile.read(folder.file), file.process.isRunning else {
                throw StackFault("the stack in \(folder.path) has just begun or ended: ask once more")
            }
            file.process.signal(SIGTERM)
            // Ctrl-C ends the waiting, not the stack.
            while folder.isTaken {
                guard file.process.isRunning else { break }
                usleep(20_000)
            }
            print("stopped")
            return .ok
        })
}
