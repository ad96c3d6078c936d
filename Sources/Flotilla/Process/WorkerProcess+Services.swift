internal import Postgres

// Where handlers with state keep it, and what those do beside their events that have something to do.
extension WorkerProcess {
    /// What handlers do beside their events, each with connections of its own.
    func services(_ workers: [HandlerWorker]) throws -> [ServiceRun] {
        var services: [ServiceRun] = []
        do {
            for case .stateful(let handler) in handlers {
                guard let serving = handler as? any ServingHandler, let place = settings.databases[handler.name] else {
                    continue
                }
                var configuration = stateful(handler, place)
                configuration.applicationName += " service"
                configuration.connections = 4
                let worker = workers.first { $0.job.name == handler.name }
                let service = HandlerService(try PostgresPool(configuration), log: log, worker: identity.id) {
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
