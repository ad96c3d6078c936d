internal import Flotilla
internal import Kafka
internal import Model
internal import Platform

/// Forgets what operators said to skip and no worker will come to any more: records that are gone, or that their handler is
/// past. Left there it would be looked at for every record, and hit whatever gets that offset in a topic of that name.
struct SkipWatch: Sendable {
    let follower: DeadLetterFollower
    let board: ControlBoard

    /// A topic that so many looks in a row do not see is gone: a broker that begins does not tell of all at once.
    private static let looks = 3

    func watch() async {
        var told = ""
        var missed: [OperatorSkip: Int] = [:]
        while !follower.service.isEnding, !Task.isCancelled {
            do {
                try await look(&missed)
                told = ""
            } catch  where !Task.isCancelled && !follower.service.isEnding {
                let text = ErrorText.line("\(error)", bytes: 512)
                if text != told { follower.service.log.warning("cannot see which skips are over", [("error", text)]) }
                told = text
            } catch { return }
            await follower.service.nap(.seconds(10))
        }
    }

    /// `missed`: how often in a row there was no such topic.
    private func look(_ missed: inout [OperatorSkip: Int]) async throws {
        // When nobody can be asked, it is asked again soon.
        guard let skips = await board.skips(), !skips.isEmpty else { return missed = [:] }
        for skip in try await Admin.use(follower.client, { try await find(skips, &missed, $0) }) {
            follower.service.log.warning(
                "a skip is forgotten: the record is gone, or its handler is past it",
                [
                    ("handler", skip.handler), ("topic", skip.topic), ("partition", skip.partition),
                    ("offset", skip.offset), ("by", skip.by),
                ])
            await board.forget([skip])
        }
    }

    private func find(
        _ skips: [OperatorSkip], _ missed: inout [OperatorSkip: Int], _ admin: Admin
    ) async throws -> [OperatorSkip] {
        let topics = try await admin.topics(nil)
        var over: [OperatorSkip] = []
        let before = missed
        missed = [:]
        for (handler, some) in Dictionary(grouping: skips, by: \.handler) {
            let committed = try await admin.committed(by: follower.namespace.group(handler))
            for skip in some {
                guard topics[skip.topic]?.partitions.contains(where: { $0.partition == skip.partition }) == true else {
                    let looks = before[skip, default: 0] + 1
                    missed[skip] = looks
                    if looks >= Self.looks { over.append(skip) }
                    continue
                }
                let low = try await admin.offset(of: skip.place, at: .earliest)
                let next = max(low ?? 0, committed[skip.place]?.offset ?? 0)
                if next > skip.offset { over.append(skip) }
            }
        }
        return over
    }
}
