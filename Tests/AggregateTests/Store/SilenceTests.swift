import Aggregate
import Platform
import Postgres
import Testing

/// What `flotilla query` can say when there is no window.
@Suite struct SilenceTests {
    @Test func whatSomebodyMeantIsSeenFromWhatThereIs() async throws {
        let site = try await AggregateSite()
        defer { site.close() }
        func silence(_ said: [String: String]) async throws -> WindowQuery.Silence {
            let query = try WindowQuery(now: AggregateSite.noon) { said[$0] }
            #expect(try await query.run(site.pool).isEmpty)
            return try await query.silence(site.pool)
        }
        #expect(try await silence(["metric": "m"]) == .nothing)

        let handler = try Aggregate(settings: ["writeEvery": "0s", "dimensions": "country"])
        let old = AggregateSite.noon - 30 * 86_400_000
        try await site.apply(
            handler, [try site.point("c", at: old, dimensions: [(name: "country", value: "de", shown: "de")])])
        #expect(try await silence(["metric": "n"]) == .metric(known: ["m"]))
        #expect(try await silence(["metric": "m", "campaign": "d"]) == .campaign)
        #expect(try await silence(["metric": "m", "by": "city"]) == .dimension)
        let noon = Timestamp(milliseconds: old)
        #expect(try await silence(["metric": "m"]) == .time(first: noon, last: noon))
        #expect(
            try await silence(["metric": "m", "by": "country", "campaign": "c"]) == .time(first: noon, last: noon))
        _ = try await site.query("DELETE FROM windows WHERE step = '1m'")
        #expect(try await silence(["metric": "m", "step": "1m", "campaign": "c"]) == .step)
    }
}
