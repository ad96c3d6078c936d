internal import CLinux
internal import Glibc
package import Platform

/// A command line as the kernel takes it, and what becomes of the process with this one.
package struct Launch: Sendable {
    package var program: String
    package var arguments: [String]
    package var environment: [String: String]
    /// Whom it runs as, if not as we do.
    package var account: Account?
    /// What the kernel sends it when we end without a word. What keeps no state beyond its files is killed.
    package var deathSignal: Int32 = SIGKILL
    /// A session of its own: it outlives the terminal.
    package var hasSession = false

    package init(_ program: String, _ arguments: [String], environment: [String: String]) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
    }

    /// Starts it with its output going to a file. To be called by a thread that lives as long as this process.
    package func start(output: Int32) throws(SystemError) -> ProcessID {
        var words: [UnsafeMutablePointer<CChar>?] = unsafe ([program] + arguments).map { unsafe strdup($0) }
        unsafe words.append(nil)
        var variables: [UnsafeMutablePointer<CChar>?] = unsafe environment.sorted { $0.key < $1.key }.map {
            unsafe strdup("\($0.key)=\($0.value)")
        }
        unsafe variables.append(nil)
        defer {
            for index in unsafe words.indices { unsafe free(words[index]) }
            for index in unsafe variables.indices { unsafe free(variables[index]) }
        }
        var child = flotilla_child()
        child.output = output
        child.user = account.map { Int64($0.user) } ?? -1
        child.group = account.map { Int64($0.group) } ?? -1
        child.death_signal = deathSignal
        child.session = hasSession
        let pid = unsafe flotilla_spawn(program, words, variables, &child)
        guard pid > 0 else { throw SystemError(code: -pid, call: "start", subject: program) }
        return ProcessID(running: pid)
    }
}

/// A user of this machine.
package struct Account: Hashable, Sendable {
    package let name: String
    package let user: UInt32
    package let group: UInt32

    package static func named(_ name: String) -> Account? {
        guard let entry = unsafe getpwnam(name) else { return nil }
        return unsafe Account(name: name, user: entry.pointee.pw_uid, group: entry.pointee.pw_gid)
    }

    package static var mine: Account? {
        guard let entry = unsafe getpwuid(geteuid()) else { return nil }
        return unsafe Account(
            name: String(cString: entry.pointee.pw_name), user: entry.pointee.pw_uid, group: entry.pointee.pw_gid)
    }
}
