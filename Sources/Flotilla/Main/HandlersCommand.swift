package import Commands

extension Command {
    /// `handlers`: whom this program can work for, for whoever starts it.
    package static func handlers(_ handlers: [AnyHandler]) -> Command {
        Command(
            name: "handlers", summary: "the handlers that this program has, one a line",
            joinsStack: false,
            run: { _ in
                for name in handlers.map(\.name.rawValue).sorted() { print(name) }
                return .ok
            })
    }
}
