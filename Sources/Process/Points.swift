internal import Flotilla
internal import JSON
internal import Model

/// The points that an event is worth.
///
/// impression → impressions, click → clicks, conversion → conversions, order.created → orders and revenue, any other type
/// → its own name. Only revenue carries the value of an order; of the others the value is the event's own.
enum Points {
    /// The campaign of events that name none, so that they count as well.
    static let noCampaign = "none"

    static func of(_ accepted: AcceptedEvent, _ event: Event) -> [Outgoing] {
        switch accepted.type {
        case "impression": [point("impressions", accepted, event, value: accepted.value)]
        case "click": [point("clicks", accepted, event, value: accepted.value)]
        case "conversion": [point("conversions", accepted, event, value: accepted.value)]
        case "order.created":
            [point("orders", accepted, event, value: nil), point("revenue", accepted, event, value: accepted.value)]
        case let other: [point(other, accepted, event, value: accepted.value)]
        }
    }

    private static func point(
        _ metric: String, _ accepted: AcceptedEvent, _ event: Event, value: JSONValue?
    ) -> Outgoing {
        let campaign = accepted.campaign ?? noCampaign
        var writer = JSONWriter()
        writer.object { json in
            json.member("campaign_id", campaign)
            json.member("metric", metric)
            json.member("timestamp", accepted.time.milliseconds)
            if let value {
                json.name("value")
                json.append(value)
            }
            if let user = accepted.user {
                json.name("user_id")
                json.append(user)
            }
            if let dimensions = accepted.dimensions, dimensions.count > 0 {
                json.name("dimensions")
                json.append(dimensions)
            }
        }
        return Outgoing(to: Process.points, from: event, type: "metric.point", key: campaign, json: writer.bytes)
            .about(campaign)
    }
}
