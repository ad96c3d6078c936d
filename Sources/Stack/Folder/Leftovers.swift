internal import Glibc
internal import Platform

/// Processes of a stack that has ended and that have not: the kernel ends them with it, so there are none, unless it could
/// not see to it (one that was being started) or they take their time.
package enum Leftovers {
    /// Waits for them, ends those that stay, and returns once they are gone. Throws the one that does not go.
    package static func end(_ file: RunningFile, within patience: Int64 = 5000) throws(StackFault) {
        // From here on they have no right to run; a server puts its files in order when it is asked.
        for process in file.processes { process.id.signal(process.role == "postgres" ? SIGQUIT : SIGTERM) }
        let began = Time.monotonicMilliseconds
        var isKilled = false
        while let stray = file.processes.first(where: \.id.isRunning) {
            let passed = Time.monotonicMilliseconds - began
            if passed > patience, !isKilled {
                isKilled = true
                for process in file.processes { process.id.signal(SIGKILL) }
            }
            guard passed < patience + 5000 else {
                throw StackFault(
                    "\(stray.name) of the last stack still runs as process \(stray.id.number) and does not end: kill it"
                )
            }
            usleep(10_000)
        }
    }
}
