import HTTP
import JSON
import Kafka
import TestSupport
import Testing

@testable import Edge

@Suite(.inTurns) struct OutageTests {
    @Test func withoutTheLogNothingIsAcknowledgedAndAfterwardsAllIsAsBefore() async throws {
        try await EdgeSite.with({ $0.http.answerTimeout = .seconds(3) }) { site in
            let client = try site.client()
            #expect(try await client.publish("application/json", #"{"event_type":"a"}"#).status == 202)
            try await eventually { try await client.ask("GET", "/readyz").status == 200 }
            try site.stopBroker()
            for type in BodyTypes.all.prefix(2) {
                let answer = try await client.publish(type, #"{"event_type":"lost"}"#)
                #expect(answer.status == 503)
                #expect(answer.headers["retry-after"] == "1")
            }
            try await eventually { try await client.ask("GET", "/readyz").status != 200 }
            try await eventually {
                let health = try await client.ask("GET", "/healthz")
                return try health.status == 503
                    && health.json.at(pointer: "/dependencies/kafka/status")?.string == "failed"
            }
            #expect(try await client.ask("GET", "/livez").status == 200)
            try site.startBroker()
            try await eventually { try await client.publish("application/json", #"{"event_type":"b"}"#).status == 202 }
            try await eventually { try await client.ask("GET", "/readyz").status == 200 }
        }
    }

    /// A log that has less than it acknowledged, as from an older copy, ends a producer for good: another takes its place.
    @Test func aProducerThatCannotGoOnIsReplaced() async throws {
        try await EdgeSite.with({ $0.http.answerTimeout = .seconds(3) }) { site in
            let client = try site.client()
            let event = #"{"event_type":"a","campaign_id":"c"}"#
            #expect(try await client.publish("application/json", event).status == 202)
            try site.stopBroker()
            let kept = site.copyDisk()
            try site.startBroker()
            try await eventually { try await client.publish("application/json", event).status == 202 }
            try site.stopBroker()
            site.restoreDisk(kept)
            try site.startBroker()
            try await eventually { try await client.publish("application/json", event).status == 202 }
            #expect(try await site.metric("flotilla_edge_producers_replaced_total") == 1)
            #expect(try await client.publish("application/json", event).status == 202)
            // The first, and those since.
            #expect(try await site.read("events.raw", count: 3).count >= 3)
        }
    }

    /// What each new producer ends for, a right that is lacking, say, is told to who balances load.
    @Test func anEdgeWhoseProducersAllEndIsNotReady() async throws {
        try await EdgeSite.with { site in
            let client = try site.client()
            try await eventually { try await client.ask("GET", "/readyz").status == 200 }
            let fault = KafkaFault(KafkaFault.Code(rawValue: 31), "it may not", at: .init("produce"), isFatal: true)
            let ending = Task {
                var number = 0
                while !Task.isCancelled {
                    await site.edge.producer.replace(LastingProducer.Ending(number: number, fault: fault))
                    number += 1
                }
            }
            defer { ending.cancel() }
            try await eventually {
                let health = try await client.ask("GET", "/healthz")
                let detail = try health.json.at(pointer: "/dependencies/kafka/detail")?.string ?? ""
                return health.status == 503 && detail.contains(" producers in a row could not go on, the last for: ")
                    && detail.contains("it may not")
            }
            try await eventually { try await client.ask("GET", "/readyz").status == 503 }
            #expect(try await site.metric("flotilla_edge_producers_replaced_total") >= 2)
        }
    }

    @Test func oneEndIsNoTroubleAndTheNextOfARowComeLater() {
        var lives = ProducerLives(began: 0)
        #expect(lives.end(at: 60_000, of: "a") == .seconds(1) && lives.trouble(at: 60_000) == nil)
        lives.begin(at: 60_001)
        let pauses = (0..<4).map { (round: Int64) -> Duration in
            let now: Int64 = 61_000 + round * 9000
            defer { lives.begin(at: now + 1) }
            return lives.end(at: now, of: "b")
        }
        #expect(pauses == [.seconds(2), .seconds(4), .seconds(8), .seconds(8)])
        #expect(lives.trouble(at: 90_000) == "5 producers in a row could not go on, the last for: b")
        // The fifth lasts.
        #expect(lives.trouble(at: 98_002) == nil)
        // One that has no successor is one more, however long ago it began.
        #expect(lives.end(at: 200_000, of: "c") == .seconds(1) && lives.end(at: 300_000, of: "d") == .seconds(2))
        #expect(lives.trouble(at: 900_000) == "2 producers in a row could not go on, the last for: d")
    }

    /// A stream that the log fails under says from where to go on, and going on there loses nothing.
    @Test func aStreamTellsWhereToGoOn() async throws {
        try await EdgeSite.with({ $0.http.answerTimeout = .seconds(3) }) { site in
            let client = try site.client()
            try site.stopBroker()
            let lines = (0..<50).map { "{\"event_type\":\"t\",\"event_id\":\"\($0)\"}\n" }
            let answer = try await client.publish("application/x-ndjson", lines.joined())
            #expect(answer.status == 503)
            try site.startBroker()
            // When the deadline itself answered, it knows of nothing that was acknowledged.
            var next = Int(try answer.json["next"]?.int64 ?? 0)
            while next < lines.count {
                let answer = try await client.publish("application/x-ndjson", lines[next...].joined())
                next += answer.status == 202 ? lines.count : Int(try answer.json["next"]?.int64 ?? 0)
            }
            let ids = try await site.read("events.raw", count: 50).compactMap { $0.text("ce_id") }
            #expect(Set(ids).isSuperset(of: (0..<50).map { "\($0)" }))
        }
    }
}
