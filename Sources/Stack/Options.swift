package import Model
package import Platform

/// What a stack is told at its start.
package struct StackOptions: Sendable {
    package var folder: String
    /// The program whose commands the parts are.
    package var program: String
    package var http: (host: String, port: UInt16) = ("127.0.0.1", 8080)
    package var broker: UInt16 = 9092
    package var admin: (host: String, port: UInt16) = ("127.0.0.1", 9464)
    package var console: (host: String, port: UInt16) = ("127.0.0.1", 8081)
    package var fsync = "batch"
    package var scale: [String: Int] = [:]
    package var hasDemo = false
    /// Workers of others, beside ours.
    package var guests: [Guest] = []
    /// The handlers that come with the program, and those of them that keep state.
    package var handlers: [HandlerName] = []
    package var stateful: Set<HandlerName> = []
    package var settings: Settings
    package var version = ""
    /// As the person called us, for the lines that are to be copied.
    package var command = "flotilla"
    /// Only our own lines are shown, and none once it is ready.
    package var isDetached = false

    package init(folder: String, program: String, settings: Settings) {
        self.folder = folder
        self.program = program
        self.settings = settings
    }
}

/// A worker that somebody wrote: its program, where its topic files are, and whom it works for.
package struct Guest: Sendable {
    package let program: String
    package let topics: String
    package let handlers: [HandlerName]

    package init(program: String, topics: String, handlers: [HandlerName]) {
        self.program = program
        self.topics = topics
        self.handlers = handlers
    }
}
