public import Model
public import Platform
public import Postgres

/// A handler with state of its own in Postgres, exact against any redelivery.
///
/// What `apply` writes through the transaction, how far the partition has been read, and the outputs are committed
/// together or not at all. The outputs are published afterwards, and after a crash they still are, under the same ids.
public protocol StatefulHandler: Sendable {
    /// What the handler is called in topic files, groups, dead letters and on the command line; its schema too.
    var name: HandlerName { get }

    /// The tables of the handler, in the order in which they came to be. Each is run once, whoever starts first.
    var migrations: [Migration] { get }

    /// Applies events of one partition in their order, 500 at most. When it throws, nothing is kept, and each event is
    /// tried in a transaction of its own.
    func apply(_ events: [Event], _ transaction: Transaction, _ context: Context) async throws -> [Outgoing]

    /// Called once a second for each partition that this process owns: to close windows and to fire what is due.
    ///
    /// `partition` is one of the handler's source topics; its state belongs to this process alone.
    func tick(
        _ now: Timestamp, _ partition: TopicPartition, _ transaction: Transaction, _ context: Context
    ) async throws -> [Outgoing]
}

extension StatefulHandler {
    public var migrations: [Migration] { [] }

    public func tick(
        _ now: Timestamp, _ partition: TopicPartition, _ transaction: Transaction, _ context: Context
    ) async throws -> [Outgoing] { [] }
}
