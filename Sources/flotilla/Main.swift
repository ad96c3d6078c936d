internal import Commands
internal import Flotilla

/// `flotilla`, the command line: the only place where ports meet adapters.
@main
enum Main {
    static let version = "0.1.0"

    static func main() {
        Program(
            about: "a fleet of Kafka workers", version: version,
            commands: [
                .broker, .topicsPlan, .topicsApply, .topicsCheck, .pause, .resume, .workers, .doctor([]), .new,
                .work(FleetHandlers.names, build: version, make: FleetHandlers.make), .query,
            ]
        ).main()
    }
}
