internal import AdminPort
internal import Flotilla
internal import HTTP
internal import Kafka
package import Platform

/// A console with all that it needs: what it asks, what looks at the fleet, and the servers.
///
/// Important: `stop` before the last reference goes.
package final class ConsoleServer: Sendable {
    private let console: Console
    private let place: Places
    private let server: HTTPServer
    private let adminServer: AdminServer
    private let health: Health
    private let looking: Task<Void, Never>

    package var port: UInt16 { server.port }
    package var adminAddress: String { adminServer.address }

    /// Listens. `admin` is where health and metrics are.
    package init(
        _ configuration: ConsoleConfiguration, admin: (host: String, port: UInt16), log: Log
    ) async throws {
        let place = try Places(configuration)
        self.place = place
        let console = Console(place, log: log)
        self.console = console
        let health = Health(version: configuration.version, probes: place.probes)
        self.health = health
        do {
            let server = try HTTPServer(configuration.http, console)
            self.server = server
            do {
                adminServer = try AdminServer(host: admin.host, port: admin.port, health: health) { text in
                    console.counts.write(
                        to: &text, connections: server.connectionCount, streams: console.watch.streams)
                }
            } catch {
                server.stop(within: .zero)
                throw error
            }
        } catch {
            await place.close()
            throw error
        }
        looking = Task {
            async let jobs: Void = console.jobs.run()
            await console.watch.run()
            await jobs
        }
    }

    /// Ends what goes on, answers what is under way, and closes everything.
    package func stop() async {
        health.stop()
        console.watch.stop()
        await withCheckedContinuation { continuation in
            let stopping: @Sendable () -> Void = { [self] in
                server.stop()
                adminServer.stop()
                continuation.resume()
            }
            do throws(SystemError) { _ = try OSThread(name: "http-stop", stopping) } catch { stopping() }
        }
        await looking.value
        await place.close()
    }
}
