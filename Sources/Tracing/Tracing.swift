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

    /// What the settings ask for.
    public struct Plan: Sendable {
        var configuration = Tracer.Configuration()
        var url: WebAddress
        var headers: [(name: String, value: String)] = []
    }

    /// Reads OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and
    /// OTEL_TRACES_SAMPLER_ARG. Nil when nobody is to be told.
    public static func plan(_ settings: inout Settings, service: String, version: String, instance: String) -> Plan? {
        let text = settings.text("OTEL_EXPORTER_OTLP_ENDPOINT")
        let headers = pairs("OTEL_EXPORTER_OTLP_HEADERS", &settings, isSecret: true)
        let attributes = pairs("OTEL_RESOURCE_ATTRIBUTES", &settings, isSecret: false)
        let name = settings.text("OTEL_SERVICE_NAME")
        let ratio = settings.value("OTEL_TRACES_SAMPLER_ARG", expected: "a number from 0 to 1") { text in
            Double(text).flatMap { (0...1).contains($0) ? $0 : nil }
        }
        let perSecond = settings.integer("FLOTILLA_TRACES_PER_SECOND", in: 0...1_000_000)
        guard var base = text else { return nil }
        while base.hasSuffix("/") { base.removeLast() }
        do throws(AddressFault) {
            var plan = Plan(url: try WebAddress(base + "/v1/traces"))
            plan.headers = headers
            if let ratio { plan.configuration.ratio = ratio }
            if let perSecond { plan.configuration.perSecond = perSecond }
            var resource: [(name: String, value: Span.Value)] = [
                ("service.version", .text(version)), ("service.instance.id", .text(instance)),
                ("telemetry.sdk.name", "flotilla"), ("telemetry.sdk.language", "swift"),
            ]
            // What is set by name counts before what is set in the list, as OpenTelemetry has it.
            resource += attributes.filter { $0.name != "service.name" || name == nil }.map {
                ($0.name, .text($0.value))
            }
            if name != nil || !attributes.contains(where: { $0.name == "service.name" }) {
                resource.append(("service.name", .text(name ?? service)))
            }
            plan.configuration.resource = resource
            return plan
        } catch {
            settings.refuse("OTEL_EXPORTER_OTLP_ENDPOINT", "\(error)")
            return nil
        }
    }

    public static func start(_ plan: Plan, log: Log) -> Tracing? {
        let tracer = Tracer(plan.configuration)
        do throws(TransferFault) {
            return Tracing(tracer, try SpanExporter(tracer, to: plan.url, headers: plan.headers, log: log))
        } catch {
            log.error("there will be no traces", [("error", error)])
            return nil
        }
    }

    /// Sends what is left and ends.
    public func close(within limit: Duration = .seconds(3)) async { await exporter.close(within: limit) }

    /// `name=value,name=value`, percent-encoded as in W3C's baggage.
    private static func pairs(_ setting: String, _ settings: inout Settings, isSecret: Bool) -> [(
        name: String, value: String
    )] {
        settings.value(setting, expected: "NAME=VALUE,NAME=VALUE, percent-encoded", isSecret: isSecret) { text in
            var pairs: [(name: String, value: String)] = []
            for part in text.split(separator: ",") {
                let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                    trimmed($0)
                }
                guard sides.count == 2, !sides[0].isEmpty, let value = decoded(sides[1]) else { return nil }
                pairs.append((sides[0], value))
            }
            return pairs
        } ?? []
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    private static func decoded(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        let text = String(validating: bytes, as: UTF8.self)
        // A line break would be another header.
        return text?.utf8.contains(where: { $0 < 0x20 }) == true ? nil : text
    }
}
