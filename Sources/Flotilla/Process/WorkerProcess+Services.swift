internal import Postgres

// Where handlers with state keep it, and what those do beside their events that have something to do.
extension WorkerProcess {
    /// Has handlers do what they do beside their events, for as long as `work` goes on.
    func withServices(_ workers: [HandlerWorker], _ work: () async throws -> Void) async throws {
        let services: [ServiceRun]
        do { services = try self.services(workers) } catch {
            for worker in workers { await worker.dismiss() }
            throw error
        }
        let isStopping = note(services)
        for service in services { if isStopping { service.stop() } else { service.begin() } }
        let result: Result<Void, any Error>
        do { result = .success(try await work()) } catch { result = .failure(error) }
        for service in services { await service.end() }
        try result.get()
    }

    /// Each with connections of its own.
    private func services(_ workers: [HandlerWorker]) throws -> [ServiceRun] {
        var services: [ServiceRun] = []
        do {
            for case .stateful(let handler) in handlers {
                guard let serving = handler as? any ServingHandler, let place = settings.databases[handler.name] else {
                    continue
                }
                var configuration = stateful(handler, place)
                configuration.applicationName += " service"
                configuration.connections = max(1, serving.connections)
                let worker = workers.first { $0.job.name == handler.name }
                let service = HandlerService(
                    try PostgresPool(configuration), log: log, worker: identity.id, tracer: tracer
                ) {
                    worker?.standing.contains { $0.partition == nil } == true
                }
                services.append(ServiceRun(serving, service))
            }
            return services
        } catch {
            for service in services { service.discard() }
            throw error
        }
    }

    /// Where a handler keeps its state: in a schema that bears its name.
    func stateful(_ handler: any StatefulHandler, _ place: PostgresConfiguration) -> PostgresConfiguration {
        var configuration = place
        configuration.schema = settings.namespace.schema(handler.name)
        configuration.applicationName = "flotilla \(handler.name)"
        return configuration
    }
}
