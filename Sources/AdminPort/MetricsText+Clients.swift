package import Kafka

extension MetricsText {
    /// What the clients of librdkafka say of themselves, some seconds ago: nothing before they have said anything.
    package mutating func add(_ figures: ClientFigures) {
        let clients = figures.all
        func each(_ value: (ClientStatistics) -> Int64) -> [(labels: Labels, value: Double)] {
            clients.map { ([("client", $0.client)], Double(value($0.statistics))) }
        }
        add(
            "flotilla_kafka_queued_messages", .gauge, "Records that a producer has taken and not delivered yet.",
            each(\.queuedMessages))
        add("flotilla_kafka_queued_bytes", .gauge, "How large they are.", each(\.queuedBytes))
        add(
            "flotilla_kafka_prefetched_messages", .gauge, "Records that a consumer has fetched ahead.",
            each(\.prefetchedMessages))
        add("flotilla_kafka_prefetched_bytes", .gauge, "How large they are.", each(\.prefetchedBytes))
        let brokers = clients.flatMap { client in
            client.statistics.brokers.map {
                (labels: [(name: "client", value: client.client), (name: "broker", value: $0.name)], broker: $0)
            }
        }
        func told(_ name: String, _ kind: Kind, _ help: String, _ value: (ClientStatistics.Broker) -> Double?) {
            add(name, kind, help, brokers.compactMap { one in value(one.broker).map { (one.labels, $0) } })
        }
        func split(_ name: String, _ kind: Kind, _ help: String, _ by: String, _ values: [(String, KeyPath)]) {
            add(
                name, kind, help,
                brokers.flatMap { one in
                    values.map { (one.labels + [(by, $0.0)], Double(one.broker[keyPath: $0.1])) }
                })
        }
        told("flotilla_kafka_connected", .gauge, "1 while the connection to a broker is up.") { $0.isConnected ? 1 : 0 }
        split(
            "flotilla_kafka_connection_changes_total", .counter, "Connections to a broker that were made, and lost.",
            "change", [("made", \.connects), ("lost", \.disconnects)])
        told(
            "flotilla_kafka_round_trip_mean_seconds", .gauge,
            "How long a broker took to answer, on average over the last interval."
        ) { $0.meanRoundTrip.map { Double($0) / 1e6 } }
        told(
            "flotilla_kafka_round_trip_p99_seconds", .gauge, "And what 99 of 100 requests did not exceed."
        ) { $0.p99RoundTrip.map { Double($0) / 1e6 } }
        split(
            "flotilla_kafka_requests_waiting", .gauge,
            "Requests to a broker that wait to be sent, or for their answer.",
            "for", [("sending", \.queued), ("answer", \.inFlight)])
        told("flotilla_kafka_requests_total", .counter, "Requests that were sent to a broker.") { Double($0.requests) }
        split(
            "flotilla_kafka_request_troubles_total", .counter,
            "Requests to a broker that could not be sent, whose answer broke, that took too long, or were sent again.",
            "trouble",
            [
                ("send", \.sendErrors), ("receive", \.receiveErrors), ("timeout", \.timeouts),
                ("retry", \.retries),
            ])
    }
}

private typealias KeyPath = Swift.KeyPath<ClientStatistics.Broker, Int64>
