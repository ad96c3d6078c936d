import Platform
import Testing
import Transfers

@testable import Tracing

@Suite struct PlanTests {
    private func plan(_ all: [String: String]) -> (plan: Tracing.Plan?, faults: [String]) {
        var settings = Settings(all)
        let plan = Tracing.plan(&settings, service: "flotilla-test")
        return (plan, settings.faults.map(\.description))
    }

    private let endpoint = ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"]

    @Test func withoutACollectorThereIsNone() {
        #expect(plan([:]).plan == nil)
        #expect(plan(endpoint.merging(["OTEL_SDK_DISABLED": "true"]) { $1 }).plan == nil)
        #expect(plan(endpoint.merging(["OTEL_TRACES_EXPORTER": "none"]) { $1 }).plan == nil)
        #expect(plan(endpoint.merging(["OTEL_SDK_DISABLED": "false"]) { $1 }).plan != nil)
    }

    @Test func theSettingForTracesCountsBeforeTheOneForAll() throws {
        let all = try #require(plan(endpoint).plan)
        #expect(all.url.text == "http://collector:4318/v1/traces")
        #expect(all.timeout == .seconds(10))
        let own = try #require(
            plan(
                endpoint.merging([
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces/in", "OTEL_EXPORTER_OTLP_TIMEOUT": "5000",
                    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "250", "OTEL_EXPORTER_OTLP_HEADERS": "a=1",
                    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=x%20y%3D, Content-Type=text/plain",
                    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
                ]) { $1 }
            ).plan)
        #expect(own.url.text == "https://traces/in")
        #expect(own.timeout == .milliseconds(250))
        #expect(own.headers.map { "\($0.name): \($0.value)" } == ["api-key: x y="])
        #expect(own.authorities == "/ca.pem")
    }

    @Test func samplersAreWhatOpenTelemetryCallsThem() {
        let expected = [
            "always_on": Sampler(isParentBased: false), "always_off": Sampler(ratio: 0, isParentBased: false),
            "traceidratio": Sampler(ratio: 0.25, isParentBased: false), "parentbased_always_on": Sampler(),
            "parentbased_always_off": Sampler(ratio: 0), "parentbased_traceidratio": Sampler(ratio: 0.25),
        ]
        for (name, sampler) in expected {
            let found = plan(
                endpoint.merging(["OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": "0.25"]) { $1 })
            #expect(found.plan?.configuration.sampler == sampler, "\(name)")
        }
        #expect(plan(endpoint).plan?.configuration.sampler == Sampler())
        let limited = plan(endpoint.merging(["FLOTILLA_TRACES_PER_SECOND": "7"]) { $1 })
        #expect(limited.plan?.configuration.sampler.perSecond == 7)
    }

    @Test func whoWeAreIsWhatTheSettingsSay() throws {
        func resource(_ more: [String: String]) throws -> [String: Span.Value] {
            let found = try #require(plan(endpoint.merging(more) { $1 }).plan)
            return Dictionary(uniqueKeysWithValues: found.configuration.resource)
        }
        #expect(try resource([:])["service.name"] == "flotilla-test")
        let listed = ["OTEL_RESOURCE_ATTRIBUTES": "service.name=listed, host.name=a%2Cb"]
        #expect(try resource(listed) == ["service.name": "listed", "host.name": "a,b"])
        #expect(try resource(listed.merging(["OTEL_SERVICE_NAME": "named"]) { $1 })["service.name"] == "named")
    }

    @Test(arguments: [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:sesame@collector"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"), ("OTEL_EXPORTER_OTLP_HEADERS", "sesame"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=sesame%0d%0ab: c"), ("OTEL_EXPORTER_OTLP_HEADERS", "a b=sesame"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=sesame%+1"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=sesame%e9"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"), ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"), ("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_SDK_DISABLED", "perhaps"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=x"), ("FLOTILLA_TRACES_PER_SECOND", "0"),
    ])
    func whatIsWrongIsToldWithoutSecrets(_ name: String, _ value: String) {
        let (_, faults) = plan(endpoint.merging([name: value]) { $1 })
        #expect(faults.count == 1 && faults[0].hasPrefix(name), "\(faults)")
        #expect(!faults.contains { $0.contains("sesame") }, "\(faults)")
    }
}
