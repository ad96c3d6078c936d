internal import Flotilla
internal import Kafka
internal import Model
internal import Platform
internal import Synchronization

extension LagProbe {
    /// Groups come and go seldom.
    private static let unnamedPause: Int64 = 10_000

    /// Handlers that none of these is, by their groups, with the topics that they read; what was found before where the
    /// broker does not say.
    func unnamed(
        _ namespace: Namespace, besides named: Set<HandlerName>
    ) async -> [HandlerName: Set<TopicName>] {
        let (known, at) = unnamed.withLock { $0 }
        let now = Time.monotonicMilliseconds
        if let at, now - at < Self.unnamedPause { return known }
        let found = try? await admin.unnamedHandlers(namespace, besides: named)
        unnamed.withLock { $0 = (found ?? known, now) }
        return found ?? known
    }
}
