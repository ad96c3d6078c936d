internal import CRdKafka
internal import Platform
internal import Synchronization

/// Looks after topics, their settings, groups and offsets.
///
/// What concerns several things at once throws when the question as a whole failed, and returns the faults of the
/// things that failed by themselves.
///
/// Important: `close()` before the last reference goes; a client that was never closed ends the process.
public final class Admin: Sendable {
    let core: AdminCore
    private let thread: Mutex<OSThread?>

    /// Starts a client; it connects by itself. `patience` is how long a question waits for its answer. Throws what is
    /// wrong with the configuration, all of it.
    public init(_ configuration: ClientConfiguration, patience: Duration = .seconds(30)) throws(KafkaFault) {
        let core = try AdminCore(configuration, patience: patience)
        do throws(SystemError) {
            thread = Mutex(try OSThread(name: "kafka-admin") { core.run() })
        } catch {
            core.tearDown()
            throw KafkaFault(system: error, at: KafkaFault.Site("open admin"))
        }
        self.core = core
    }

    /// Runs `body` with a client that is closed after it, whatever happens.
    package static func use<Value>(
        _ configuration: ClientConfiguration, patience: Duration = .seconds(10), _ body: (Admin) async throws -> Value
    ) async throws -> Value {
        let admin = try Admin(configuration, patience: patience)
        let result: Result<Value, any Error>
        do { result = .success(try await body(admin)) } catch { result = .failure(error) }
        await admin.close()
        return try result.get()
    }

    deinit { precondition(core.isClosed, "an admin client is to be closed before it goes") }

    /// Ends the client; questions under way get `.closed`. Waits for the one that holds up librdkafka, if there is one:
    /// about topics or places, and no longer than `patience`.
    public func close() async {
        let reply: Reply<Void> = core.mailbox.ask("close") { core, reply in core.close(reply) }
        // Refused only when it is closed already.
        try? await reply.certainValue()
        thread.withLock { $0.take() }?.join()
    }
}

/// What an admin client is made of, and the loop of the thread that owns it.
///
/// librdkafka answers admin calls by an event on the client's queue; a number of ours goes with the call and comes back
/// with the event, and finds who reads it. Nothing is retained by C.
@safe final class AdminCore: @unchecked Sendable {
    // Unchecked: `pending`, `last` and `closing` belong to the owner's thread; the rest is constant or a lock's.
    typealias Reader = (OpaquePointer) -> Void

    let mailbox: Mailbox<AdminCore>
    let lane: BlockingLane
    let client: NativeClient
    let patience: Duration
    let configuration: ClientConfiguration
    private let ended = Atomic<Bool>(false)

    /// Who reads which answer, and what tells it that none will come.
    private var pending: [UInt: (read: Reader, giveUp: () -> Void)]
    private var last: UInt = 0
    private var closing: [Reply<Void>] = []

    init(_ configuration: ClientConfiguration, patience: Duration) throws(KafkaFault) {
        let site = KafkaFault.Site("open admin")
        do throws(SystemError) {
            mailbox = try Mailbox()
            lane = try BlockingLane(name: "kafka-asks")
        } catch { throw KafkaFault(system: error, at: site) }
        let native = NativeConfiguration(configuration)
        native.withHandle { handle in
            let events = RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG | RD_KAFKA_EVENT_STATS
            unsafe rd_kafka_conf_set_events(handle, events)
        }
        let handle = unsafe try native.makeClient(RD_KAFKA_PRODUCER, at: site)
        client = unsafe NativeClient(handle: handle, queue: rd_kafka_queue_get_main(handle), bell: mailbox.bell)
        self.configuration = configuration
        self.patience = patience
        unsafe pending = [:]
    }

    var isClosed: Bool { ended.load(ordering: .acquiring) }

    // MARK: On callers' threads

    /// Asks the cluster: `start` makes the call with (client, options, queue), `read` makes a value of the event.
    @safe func call<Value: Sendable>(
        _ operation: String,
        start: @escaping @Sendable (OpaquePointer, OpaquePointer?, OpaquePointer) throws(KafkaFault) -> Void,
        read: @escaping @Sendable (OpaquePointer) throws(KafkaFault) -> Value
    ) async throws(KafkaFault) -> Value {
        let reply: Reply<Value> = mailbox.ask(operation) { core, reply in
            core.begin(
                operation, reply: reply, start: start,
                reader: { event in
                    do throws(KafkaFault) {
                        let code = unsafe rd_kafka_event_error(event)
                        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
                            throw unsafe KafkaFault(
                                code, string(rd_kafka_event_error_string(event)), at: KafkaFault.Site(operation))
                        }
                        reply.fill(.success(try unsafe read(event)))
                    } catch { reply.fail(error) }
                })
        }
        return try await reply.value()
    }

    // MARK: On the owner's thread

    @safe private func begin<Value: Sendable>(
        _ operation: String, reply: Reply<Value>,
        start: (OpaquePointer, OpaquePointer?, OpaquePointer) throws(KafkaFault) -> Void, reader: @escaping Reader
    ) {
        last += 1
        let options = unsafe rd_kafka_AdminOptions_new(client.handle, RD_KAFKA_ADMIN_OP_ANY)
        defer { unsafe rd_kafka_AdminOptions_destroy(options) }
        // An hour is the most that librdkafka takes; of more it would take nothing.
        let timeout = Int32(min(patience.patience, 3_600_000))
        unsafe rd_kafka_AdminOptions_set_request_timeout(options, timeout, nil, 0)
        unsafe rd_kafka_AdminOptions_set_opaque(options, UnsafeMutableRawPointer(bitPattern: last))
        unsafe pending[last] = (reader, { reply.fail(.closed(operation)) })
        do throws(KafkaFault) {
            try unsafe start(client.handle, options, client.queue)
        } catch {
            unsafe pending[last] = nil
            reply.fail(error)
        }
    }

    func run() {
        while closing.isEmpty {
            for job in mailbox.take() { job.run(self) }
            while let event = unsafe rd_kafka_queue_poll(client.queue, 0) {
                let number = unsafe UInt(bitPattern: rd_kafka_event_opaque(event))
                if number != 0, let (read, _) = unsafe pending.removeValue(forKey: number) {
                    unsafe read(event)
                } else {
                    client.serve(event, configuration.hooks)
                }
                unsafe rd_kafka_event_destroy(event)
            }
            if closing.isEmpty { mailbox.sleep(milliseconds: 60_000) }
        }
        tearDown()
    }

    func close(_ reply: Reply<Void>) { closing.append(reply) }

    /// Ends the client. The owner's last act, or the only one where no owner could be started.
    func tearDown() {
        lane.stop()
        client.destroy()
        mailbox.shut()
        unsafe pending.values.forEach { unsafe $0.giveUp() }
        ended.store(true, ordering: .releasing)
        for reply in closing { reply.fill(.success(())) }
    }
}
