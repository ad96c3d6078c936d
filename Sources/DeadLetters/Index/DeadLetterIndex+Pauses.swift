package import Flotilla

extension DeadLetterIndex {
    /// Notes in the audit that somebody had a handler stand still, or go on.
    package func note(_ verb: String, _ pause: OperatorPause) async throws {
        let place = pause.partition.map { "partition \($0)" }
        let words = [place, pause.reason].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: ": ")
        try await note(
            verb, handler: pause.handler, count: 1, words.isEmpty ? "all partitions" : words, who: pause.by)
    }
}
