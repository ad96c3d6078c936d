public import Platform
internal import Transfers

extension Tracing {
    /// What the settings ask for.
    public struct Plan: Sendable {
        public internal(set) var configuration = Tracer.Configuration()
        let url: WebAddress
        var headers: [(name: String, value: String)] = []
        /// How long a request may take.
        var timeout = Duration.seconds(10)
        /// A file of certificates to believe, instead of the machine's.
        var authorities: String?
    }

    /// Reads OpenTelemetry's settings for traces, and FLOTILLA_TRACES_PER_SECOND. Nil when nobody is to be told; what is
    /// wrong is among the settings' faults. `service` is who this process is unless the settings name it.
    public static func plan(_ settings: inout Settings, service: String) -> Plan? {
        if settings.flag("OTEL_SDK_DISABLED") == true { return nil }
        let exporter = settings.value("OTEL_TRACES_EXPORTER", expected: "otlp or none") { text in
            ["otlp", "none"].contains(text) ? text : nil
        }
        if exporter == "none" { return nil }
        let own = settings.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        let common = settings.text("OTEL_EXPORTER_OTLP_ENDPOINT")
        let sampler = sampler(&settings)
        let headers = headers(&settings)
        let resource = resource(&settings, service: service)
        let timeout = either("TIMEOUT", &settings) { $0.integer($1, in: 1...600_000) }
        let authorities = either("CERTIFICATE", &settings) { $0.all[$1] }
        let name = own == nil ? "OTEL_EXPORTER_OTLP_ENDPOINT" : "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
        guard let text = own ?? common.map({ withoutSlashes($0) + "/v1/traces" }) else { return nil }
        _ = either("PROTOCOL", &settings) { settings, name in
            settings.value(name, expected: "http/protobuf, which is what is spoken here") {
                $0 == "http/protobuf" ? $0 : nil
            }
        }
        do throws(AddressFault) {
            var plan = Plan(url: try WebAddress(text))
            plan.configuration.sampler = sampler
            plan.configuration.resource = resource
            plan.headers = headers
            if let timeout { plan.timeout = .milliseconds(timeout) }
            plan.authorities = authorities
            return plan
        } catch {
            let hint = text.contains("@") ? "; who may send says so in OTEL_EXPORTER_OTLP_HEADERS" : ""
            settings.refuse(name, ": \(error)\(hint)")
            return nil
        }
    }

    /// The setting for traces alone, else the one for all that OTLP carries.
    private static func either<Value>(
        _ end: String, _ settings: inout Settings, _ read: (inout Settings, String) -> Value?
    ) -> Value? {
        let own = read(&settings, "OTEL_EXPORTER_OTLP_TRACES_\(end)")
        let common = read(&settings, "OTEL_EXPORTER_OTLP_\(end)")
        return own ?? common
    }

    private static func sampler(_ settings: inout Settings) -> Sampler {
        let names = ["always_on", "always_off", "traceidratio"]
        let known = names.map { "parentbased_\($0)" } + names
        let name = settings.value("OTEL_TRACES_SAMPLER", expected: known.joined(separator: ", ")) { text in
            known.contains(text) ? text : nil
        }
        let argument = settings.value("OTEL_TRACES_SAMPLER_ARG", expected: "a number from 0 to 1") { text in
            Double(text).flatMap { (0...1).contains($0) ? $0 : nil }
        }
        let perSecond = settings.integer("FLOTILLA_TRACES_PER_SECOND", in: 1...1_000_000)
        if argument != nil, settings.all["OTEL_TRACES_SAMPLER"] == nil {
            settings.refuse("OTEL_TRACES_SAMPLER_ARG", "needs OTEL_TRACES_SAMPLER=parentbased_traceidratio")
        }
        let wanted = name ?? "parentbased_always_on"
        let ratio = wanted.hasSuffix("traceidratio") ? argument ?? 1 : wanted.hasSuffix("always_on") ? 1 : 0
        return Sampler(ratio: ratio, isParentBased: wanted.hasPrefix("parentbased_"), perSecond: perSecond ?? 100)
    }

    private static func headers(_ settings: inout Settings) -> [(name: String, value: String)] {
        let headers = either("HEADERS", &settings) { settings, name in
            pairs(name, &settings, isSecret: true) { name in
                // What no header's name has would begin another header.
                !name.isEmpty
                    && name.utf8.allSatisfy { (0x21...0x7e).contains($0) && !#"()<>@,;:\"/[]?={}"#.utf8.contains($0) }
            }
        }
        return (headers ?? []).filter { !["content-type", "content-length"].contains($0.name.lowercased()) }
    }

    private static func resource(
        _ settings: inout Settings, service: String
    ) -> [(name: String, value: Span.Value)] {
        let given = pairs("OTEL_RESOURCE_ATTRIBUTES", &settings, isSecret: false) { !$0.isEmpty } ?? []
        let name = settings.text("OTEL_SERVICE_NAME") ?? given.last { $0.name == "service.name" }?.value ?? service
        let rest = given.filter { $0.name != "service.name" }.map { ($0.name, Span.Value.text($0.value)) }
        return [("service.name", .text(name))] + rest
    }

    /// `name=value,name=value`, percent-encoded as in W3C's baggage.
    private static func pairs(
        _ setting: String, _ settings: inout Settings, isSecret: Bool, _ isName: (String) -> Bool
    ) -> [(name: String, value: String)]? {
        settings.value(setting, expected: "NAME=VALUE,NAME=VALUE, percent-encoded", isSecret: isSecret) { text in
            var pairs: [(name: String, value: String)] = []
            for part in text.split(separator: ",") {
                let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map {
                    trimmed($0)
                }
                guard sides.count == 2, isName(sides[0]), let value = decoded(sides[1]) else { return nil }
                pairs.append((sides[0], value))
            }
            return pairs
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    private static func withoutSlashes(_ text: String) -> String {
        String(text.reversed().drop { $0 == "/" }.reversed())
    }

    private static func decoded(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy({ UInt8(ascii: "+") != $0 && UInt8(ascii: "-") != $0 }),
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        let text = String(validating: bytes, as: UTF8.self)
        // A line break would be another header.
        return text?.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) == true ? nil : text
    }
}
