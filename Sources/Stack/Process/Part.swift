package import Platform

/// One process of the stack: how it is started, and how it is ended.
package struct Part: Sendable {
    package enum Role: String, Sendable { case broker, redis, postgres, edge, worker, console, demo, setup }

    /// As its lines and its log are called: `process-2`.
    package let name: String
    package let role: Role
    /// Whom a worker works for.
    package var handler: String?
    /// Asked before every start, because a port may be another one then.
    package let launch: @Sendable () throws -> (launch: Launch, admin: UInt16?)
    package var stopSignal: Int32 = 15
    /// How long it may take to end before it is killed.
    package var grace: Int64 = 15_000
    /// Whether its lines are shown, or only kept.
    package var isShown = true
    /// Something that is done once: it is not started again.
    package var isOnce = false

    package init(
        _ name: String, _ role: Role, handler: String? = nil,
        launch: @escaping @Sendable () throws -> (launch: Launch, admin: UInt16?)
    ) {
        self.name = name
        self.role = role
        self.handler = handler
        self.launch = launch
    }
}

/// What can be seen of a part.
package struct PartState: Sendable {
    package let name: String
    package let role: Part.Role
    package let handler: String?
    /// Nil while it does not run.
    package var process: ProcessID?
    package var admin: UInt16?
    /// How often it died without having worked for a while, and how often at all.
    package var deaths = 0
    package var allDeaths = 0
    /// How it ended last.
    package var end: ProcessEnd?
    /// What it said last.
    package var lastLines: [String] = []
    /// False when it is being ended.
    package var isWanted = true
}

/// How a process ended.
package enum ProcessEnd: Hashable, Sendable, CustomStringConvertible {
    case code(Int32)
    case signal(Int32)
    /// It could not be started.
    case neverBegan(String)

    init(status: Int32) {
        self = status & 0x7f == 0 ? .code(status >> 8 & 0xff) : .signal(status & 0x7f)
    }

    package var description: String {
        switch self {
        case .code(let code): "ended with \(code)"
        case .signal(let signal): "was ended by signal \(signal)"
        case .neverBegan(let reason): reason
        }
    }
}
