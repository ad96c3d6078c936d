internal import Commands
internal import DeadLetters
internal import Flotilla

extension Main {
    /// Notes a pause, or its end, in the audit, where the index is. Who is on call must get on while that is away.
    static let notePause: Command.PauseNote = { verb, pause in
        do { try await DlqPlace().withIndex { try await $0.note(verb, pause) } } catch {
            Program.complain("\(Program.name): this is not in the audit (\(error))")
        }
    }
}
