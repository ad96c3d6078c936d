public import Platform
internal import Transfers

/// Tracing as a process has it: a tracer and its way to a collector, from the settings that OpenTelemetry names. Without a
/// collector there is none, and nobody pays for it.
public final class Tracing: Sendable {
    public let tracer: Tracer
    private let exporter: SpanExporter

    private init(_ tracer: Tracer, _ exporter: SpanExporter) {
        self.tracer = tracer
        self.exporter = exporter
    }

    /// Begins to send what the plan says; nil when that cannot be, which the log tells. `instance` is which of the
    /// processes of its service this is.
    public static func start(_ plan: Plan, version: String, instance: String, log: Log) -> Tracing? {
        var configuration = plan.configuration
        let ours = [
            ("service.version", version), ("service.instance.id", instance), ("telemetry.sdk.name", "flotilla"),
            ("telemetry.sdk.language", "swift"), ("telemetry.sdk.version", version),
        ]
        // What is set counts before what we know by ourselves.
        for (name, value) in ours where !configuration.resource.contains(where: { $0.name == name }) {
            configuration.resource.append((name, .text(value)))
        }
        let tracer = Tracer(configuration)
        do throws(TransferFault) {
            let tracing = Tracing(tracer, try SpanExporter(tracer, plan, log: log))
            log.info("traces are sent", [("collector", plan.url), ("ratio", plan.configuration.sampler.ratio)])
            return tracing
        } catch {
            log.error("there will be no traces", [("error", error)])
            return nil
        }
    }

    /// Sends what is left and ends.
    public func close(within limit: Duration = .seconds(3)) async { await exporter.close(within: limit) }
}
