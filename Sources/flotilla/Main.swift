internal import Commands
internal import Flotilla

/// `flotilla`, the command line: the only place where ports meet adapters.
@main
enum Main {
    static func main() {
        Program(
            about: "a fleet of Kafka workers", version: "0.1.0",
            commands: [
                .broker, .edge, .publish, .tail, .keysCreate, .keysList, .keysRevoke, .topicsPlan, .topicsApply,
                .topicsCheck, .pause, .resume, .workers,
                .doctor([]), .new,
            ]
        ).main()
    }
}
