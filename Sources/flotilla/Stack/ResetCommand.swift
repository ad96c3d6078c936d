internal import Commands
internal import Platform
internal import Stack

extension Command {
    static let reset = Command(
        name: "reset", summary: "remove everything that a stack keeps",
        details: "All events, counts and logs of the stack in a folder. It must not be running.",
        options: [data, Option(name: "confirm", help: "without it nothing is removed")],
        joinsStack: false,
        run: { arguments in
            let folder = try StackFolder(existing: RunningStack.folder(arguments))
            guard arguments.has("confirm") else {
                Program.complain(
                    "\(Program.name): this would remove all events and counts in \(folder.path): say --confirm to do it"
                )
                return .failed
            }
            try folder.take()
            try folder.prepare(needsRoom: false)
            try folder.removeAll()
            print("\(folder.path) is gone")
            return .ok
        })
}
