public import Model
public import Platform
public import Postgres

/// What a worker can run: a `Handler`, a `BatchHandler` or a `StatefulHandler`. Nothing else is one.
public protocol HostedHandler: Sendable {
    /// What the handler is called in topic files, groups, retry topics and on the command line.
    var name: HandlerName { get }
}

/// A handler with state of its own in Postgres, exact against any redelivery.
///
/// What `apply` writes through the transaction, how far the partition has been read, and the outputs are committed
/// together or not at all. The outputs are published afterwards, and after a crash they still are, under the same ids.
/// Its consumers in the topic files say `ordering: partition`.
///
/// Important: an effect is exact only if it goes through the transaction. After an error of Postgres the transaction
/// cannot go on; let the error out, and the runtime does what fits it.
public protocol StatefulHandler: HostedHandler {
    /// The tables of the handler, in the order in which they came to be. Each step runs once, whoever starts first, in a
    /// schema that bears the handler's name.
    var migrations: [Migration] { get }

    /// Applies events of one partition in their order, 500 at most. When it throws, nothing is kept, and each event is
    /// tried in a transaction of its own, so that one bad event costs only itself.
    func apply(_ events: [Event], _ transaction: PostgresTransaction, _ context: Context) async throws -> [Outgoing]

    /// Called once a second for each partition that this process owns: to close windows and to fire what is due.
    ///
    /// `partition` is one of the handler's source topics; its state belongs to this process alone. Outputs are named:
    /// `Outgoing(to:named:revision:type:key:json:)`.
    func tick(
        _ now: Timestamp, _ partition: TopicPartition, _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing]

    /// A partition is not this process' any more, and nothing of it is under way: what is remembered of it can go. Not
    /// called when the process dies, so nothing may depend on it.
    func left(_ partition: TopicPartition)

    /// Whether `tick` does anything: without it no transaction is spent on it.
    var ticks: Bool { get }
}

extension StatefulHandler {
    public var migrations: [Migration] { [] }
    public var ticks: Bool { false }
    public func left(_ partition: TopicPartition) {}

    public func tick(
        _ now: Timestamp, _ partition: TopicPartition, _ transaction: PostgresTransaction, _ context: Context
    ) async throws -> [Outgoing] { [] }
}
