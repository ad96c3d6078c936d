package import Commands
internal import Glibc

/// A program of handlers: an author's whole `main`.
///
///     @main enum Worker {
///         static func main() { Flotilla.main([MyHandler()]) }
///     }
///
/// It has `work` and says with `--help` what else; settings come from the environment, topics from the topic files.
public enum Flotilla {
    /// Does what the command line says, and ends the process.
    public static func main(_ handlers: [any HostedHandler], version: String = "0.0.0") -> Never {
        let all = handlers.map { AnyHandler($0) }
        // They would share a group, a memory and a schema, and each get half of the events.
        let names = all.map(\.name)
        for name in Set(names) where names.count(where: { $0 == name }) > 1 {
            Program.complain("\(Program.name): two handlers are called \(name): give one another name")
            exit(1)
        }
        Program(
            about: "workers of a fleet on Kafka", version: version, commands: commands(for: all, build: version),
            hasOwnTopics: true
        ).main()
    }

    /// The commands that work for these handlers.
    package static func commands(for handlers: [AnyHandler], build: String) -> [Command] {
        [
            .work(handlers, build: build), .handlers(handlers), .topicsPlan, .topicsApply, .topicsCheck, .pause(),
            .resume(), .workers,
            .doctor(handlers),
        ]
    }
}
