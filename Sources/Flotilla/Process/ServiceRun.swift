internal import Model
internal import Platform
internal import Postgres
internal import Synchronization

/// What a handler does beside its events, from the start of a process to its end.
final class ServiceRun: Sendable {
    private let handler: any ServingHandler
    private let service: HandlerService
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// After the end it may take so long.
    private static let budget: Duration = .seconds(20)

    init(_ handler: any ServingHandler, _ service: HandlerService) {
        self.handler = handler
        self.service = service
    }

    func begin() {
        let task = WorkerTasks.begin { [handler, service] in
            var pause: Int64 = 500
            while !service.isEnding {
                let began = Time.monotonicMilliseconds
                do {
                    try await handler.serve(service)
                    guard !service.isEnding else { return }
                    service.log.error(
                        "what works beside the events has ended, and is begun again", [("handler", handler.name)])
                } catch {
                    guard !service.isEnding else { return }
                    service.log.error(
                        "what works beside the events has failed, and is begun again",
                        [("handler", handler.name), ("error", ErrorText.line("\(error)", bytes: 512))])
                }
                // One that works for a while and then fails is begun again at once.
                pause = Time.monotonicMilliseconds - began > 60_000 ? 500 : min(pause * 2, 30_000)
                await service.nap(.milliseconds(pause))
            }
        }
        self.task.withLock { $0 = task }
    }

    /// Lets one go that will never run.
    func discard() { service.database.close() }

    /// Has it begin nothing new.
    func stop() { service.end() }

    /// Has it finish what is under way, and waits for that.
    func end() async {
        stop()
        if let task = task.withLock({ $0 }) {
            let limit = Task {
                try? await Task.sleep(for: Self.budget)
                if !Task.isCancelled { task.cancel() }
            }
            await task.value
            limit.cancel()
        }
        service.database.close()
    }
}
