internal import CLinux
package import Platform

/// SIGINT, SIGTERM and SIGHUP (the terminal was closed) as something that a loop waits for beside other things.
package enum Signals {
    /// To be called on the main thread before there are others.
    package static func file() throws(SystemError) -> Int32 {
        let file = flotilla_signal_file()
        guard file >= 0 else { throw SystemError.last("signalfd") }
        return file
    }
}
