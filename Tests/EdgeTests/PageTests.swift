import Edge
import JSON
import TestSupport
import Testing

@Suite(.inTurns) struct PageTests {
    @Test func pagesOfHealth() async throws {
        try await EdgeSite.with({ $0.version = "1.2.3" }) { site in
            let client = try site.client()
            for path in ["/livez", "/readyz", "/ready", "/healthz", "/health"] {
                #expect(try await client.ask("GET", path).status == 200)
            }
            let health = try await client.ask("GET", "/healthz").json
            #expect(health["status"]?.string == "ok")
            #expect(health["version"]?.string == "1.2.3")
            #expect(health["uptime"]?.int64 != nil)
            #expect(health.at(pointer: "/dependencies/kafka/latency_ms")?.int64 != nil)
            let admin = try RawHTTPClient(port: try #require(site.edge.adminPort))
            for path in ["/livez", "/readyz", "/healthz"] { #expect(try await admin.ask("GET", path).status == 200) }
            let metrics = try await admin.ask("GET", "/metrics")
            // A route counts by its first name, whichever was asked for.
            for (route, count) in [("/livez", 1), ("/readyz", 2), ("/healthz", 3)] {
                let labels = "{http_route=\"\(route)\",http_request_method=\"GET\",http_response_status_code=\"200\"}"
                #expect(metrics.body.contains("http_server_request_duration_seconds_count\(labels) \(count)\n"))
            }
            #expect(metrics.body.contains("# TYPE http_server_request_duration_seconds histogram\n"))
            #expect(!metrics.body.contains("# EOF"))
            #expect(try await admin.ask("POST", "/v1/events").status == 404)
            #expect(try await admin.ask("POST", "/metrics").status == 405)
        }
    }

    @Test func theDescriptionNamesEveryRoute() async throws {
        try await EdgeSite.with { site in
            let description = try await site.client().ask("GET", "/openapi.json").json
            #expect(description["openapi"]?.string == "3.1.0")
            let paths = description["paths"]?.members.map(\.name) ?? []
            #expect(paths.contains("/v1/events") && paths.contains("/v1/topics/{topic}/events"))
            let names = description.at(pointer: "/paths/~1v1~1topics~1{topic}~1events/post/parameters/0/schema/enum")
            #expect(names?.elements.compactMap(\.string) == ["events.raw", "narrow", "orders", "small"])
            #expect(description.at(pointer: "/components/schemas/Event/properties/event_id/type")?.string == "string")
        }
    }

    @Test func pagesOfOtherSitesMayCallWhenTheSettingSaysSo() async throws {
        try await EdgeSite.with({ $0.origins = ["https://shop.example"] }) { site in
            let client = try site.client()
            let asking = [("Origin", "https://shop.example"), ("Access-Control-Request-Method", "POST")]
            var answer = try await client.ask("OPTIONS", "/v1/events", asking)
            #expect(answer.status == 204)
            #expect(answer.headers["access-control-allow-origin"] == "https://shop.example")
            #expect(answer.headers["access-control-allow-headers"]?.contains("content-type") == true)
            answer = try await client.ask(
                "OPTIONS", "/v1/events",
                asking + [("Access-Control-Request-Headers", "Content-Type, Ce-Id,ce-myextension, ce-no_name, x-other")]
            )
            let allowed = answer.headers["access-control-allow-headers"]?.split(separator: ", ") ?? []
            #expect(allowed.filter { $0.hasPrefix("ce-") || $0.hasPrefix("x-") } == ["ce-id", "ce-myextension"])
            answer = try await client.publish("application/json", "{}", [asking[0]])
            #expect(answer.status == 422)
            #expect(answer.headers["access-control-allow-origin"] == "https://shop.example")
            answer = try await client.ask(
                "OPTIONS", "/v1/events",
                [("Origin", "https://other.example"), ("Access-Control-Request-Method", "POST")])
            #expect(answer.status == 405)
            #expect(answer.headers["access-control-allow-origin"] == nil)
        }
    }
}
