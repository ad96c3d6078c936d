internal import Glibc
internal import Platform
internal import Synchronization
internal import Transfers

/// Asks the processes on their admin ports whether they are ready, again and again, on a thread of its own: an answer may
/// take its time.
package final class Prober: Sendable {
    private let supervisor: Supervisor
    private let answers = Mutex<[ProcessID: String?]>([:])
    private let isOver = Atomic<Bool>(false)

    init(_ supervisor: Supervisor) { self.supervisor = supervisor }

    func stop() { isOver.store(true, ordering: .relaxed) }

    func run() {
        guard let client = try? WebClient() else { return }
        while !isOver.load(ordering: .relaxed) {
            var found: [ProcessID: String?] = [:]
            for state in supervisor.states {
                guard let process = state.process, let admin = state.admin else { continue }
                found[process] = .some(Self.ask(client, admin))
            }
            let isReady = found.values.allSatisfy { $0 == nil }
            answers.withLock { $0 = found }
            // Soon while somebody waits, seldom when all is well.
            for _ in 0..<(isReady ? 20 : 1) where !isOver.load(ordering: .relaxed) { usleep(50_000) }
        }
    }

    /// What keeps it from being ready; nil when nothing does. It says within 3 s which of its dependencies does not
    /// answer.
    private static func ask(_ client: WebClient, _ port: UInt16) -> String? {
        do throws(WebClient.Fault) {
            let answer = try client.get(
                "http://127.0.0.1:\(port)/readyz", direct: true, limit: 65_536, within: .seconds(4))
            if answer.status == 200 { return nil }
            return String(decoding: answer.body, as: UTF8.self).split(whereSeparator: \.isNewline).joined(
                separator: ", ")
        } catch { return "does not answer" }
    }

    /// Whether everything that can be asked has said that it is ready.
    func allReady(_ states: [PartState]) -> Bool { complaints(states).isEmpty }

    /// What is not as it should be.
    func complaints(_ states: [PartState]) -> [String] {
        let answers = answers.withLock { $0 }
        return states.filter { $0.isWanted && $0.role != .setup }.compactMap { state in
            guard let process = state.process else { return "\(state.name) does not run" }
            guard state.admin != nil else { return nil }
            switch answers[process] {
            case .none: return "\(state.name) has not been asked yet"
            case .some(.none): return nil
            case .some(.some(let reason)): return "\(state.name): \(reason)"
            }
        }
    }
}
