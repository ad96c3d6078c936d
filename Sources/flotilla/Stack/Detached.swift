internal import Commands
internal import Glibc
internal import Platform
internal import Stack

/// A stack that goes on without the terminal that started it: the same command, in a session of its own. What it says
/// until it is ready is passed on; its output ends when it is ready, or when it cannot be.
enum Detached {
    static let mark = "FLOTILLA_DETACHED"

    static func start(_ options: StackOptions) throws -> ExitCode {
        let arguments = CommandLine.arguments.dropFirst().filter { $0 != "--detach" }
        var environment = options.settings.all
        environment[mark] = "1"
        var launch = Launch(options.program, Array(arguments), environment: environment)
        launch.hasSession = true
        launch.deathSignal = 0
        let pipe = try Pipe()
        let process = try launch.start(output: pipe.input)
        close(pipe.input)
        var bytes = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe read(pipe.output, &bytes, bytes.count)
            guard count > 0 else { break }
            unsafe _ = write(1, bytes, count)
        }
        var status: Int32 = 0
        // It closes its output when it is ready; one that has failed closes it by ending, which may take a moment.
        for _ in 0..<100 {
            if unsafe waitpid(process.number, &status, WNOHANG) == process.number {
                return status == 0 ? .ok : status == 2 << 8 ? .usage : .failed
            }
            if let folder = try? StackFolder(existing: options.folder),
                RunningFile.read(folder.file)?.process == process
            {
                return .ok
            }
            usleep(20_000)
        }
        return .ok
    }
}
