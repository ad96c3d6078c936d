internal import Platform
internal import Synchronization

/// What a file of people says, read again when it is asked for two seconds later, so that what was taken back does not live on.
///
/// While it cannot be read what it said before holds; when it is gone it says nothing any more.
final class WatchedFile<Value: Sendable>: Sendable {
    private struct State {
        var value: Value
        var looked: Int64
        /// What is wrong with it, as of the last look.
        var complaint: Complaint?
    }

    private struct Complaint: Equatable {
        let isGone: Bool
        let text: String
    }

    private let path: String
    private let gone: Value
    private let log: Log
    private let read: @Sendable (String) throws(KeyRing.Fault) -> Value
    private let state: Mutex<State>

    /// Reads it for the first time, when it has to be there. `gone` is what it says when it is not any more.
    init(
        _ path: String, gone: Value, log: Log, now: Int64,
        _ read: @escaping @Sendable (String) throws(KeyRing.Fault) -> Value
    ) throws(KeyRing.Fault) {
        self.path = path
        self.gone = gone
        self.log = log
        self.read = read
        state = Mutex(State(value: try read(path), looked: now))
    }

    /// `now` is the monotonic clock's, in milliseconds.
    func value(now: Int64) -> Value {
        let (value, isDue) = state.withLock { state in
            let isDue = now - state.looked > 2000
            if isDue { state.looked = now }
            return (state.value, isDue)
        }
        return isDue ? look() : value
    }

    private func look() -> Value {
        let (found, complaint): (Value?, Complaint?)
        do throws(KeyRing.Fault) { (found, complaint) = (try read(path), nil) } catch {
            let isGone = Files.isGone(path)
            (found, complaint) = (isGone ? gone : nil, Complaint(isGone: isGone, text: "\(error)"))
        }
        let (value, isNews) = state.withLock { state in
            if let found { state.value = found }
            defer { state.complaint = complaint }
            return (state.value, complaint != state.complaint)
        }
        if isNews, let complaint {
            if complaint.isGone {
                log.warning("a file is gone: it grants nothing any more", [("error", complaint.text)])
            } else {
                log.warning("a file cannot be read: what it said before holds", [("error", complaint.text)])
            }
        }
        return value
    }
}
