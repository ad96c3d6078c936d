internal import DeadLetters
internal import WebAPI

/// /api/openapi.json.
enum Description {
    static func document() -> [UInt8] {
        var api = OpenAPI(
            title: "Flotilla console",
            about: "What the page of the console asks. What changes something takes the role operate, and the header "
                + "X-Flotilla-Console: 1.")
        api.hasBearers = true
        api.schemas = [
            ("Filter", filter), ("Letter", letter), ("Group", group), ("Replay", replay), ("Fit", fit),
            ("Fleet", fleet), ("Body", body), ("Records", records), ("Window", window),
        ]
        return api.document(of: Route.self) { route in
            var operation = OpenAPI.Operation()
            operation.parameters = parameters(of: route)
            if let schema = order(of: route) { operation.body = [OpenAPI.Content("application/json", schema)] }
            operation.answer([200], answer(of: route))
            if route != .description {
                operation.answer(
                    [400, 401, 403, 404, 405, 421, 503] + (route.method == "POST" ? [409, 413, 415, 422] : []), .problem
                )
            }
            if route == .metrics { operation.answer([422], .problem) }
            return operation
        }
    }

    private static func parameters(of route: Route) -> [OpenAPI.Parameter] {
        typealias Parameter = OpenAPI.Parameter
        var list = route.placeholders.map { name in
            switch name {
            case "id": Parameter(name, in: .path, schema: #"{"type":"string","format":"uuid"}"#)
            case "verb": Parameter(name, in: .path, schema: #"{"type":"string","enum":["pause","resume","cancel"]}"#)
            case _: Parameter(name, in: .path, schema: #"{"type":"string","minLength":1,"maxLength":200}"#)
            }
        }
        func number(_ name: String, _ about: String, _ most: Int) -> Parameter {
            Parameter(name, in: .query, about, schema: #"{"type":"integer","minimum":1,"maximum":\#(most)}"#)
        }
        func text(_ name: String, _ about: String) -> Parameter { Parameter(name, in: .query, about) }
        let unmasked = Parameter(
            "unmasked", in: .query, "with what the topic file calls personal: takes the role operate, and is audited",
            schema: #"{"type":"boolean"}"#)
        let filter = DeadLetterFilter.names.map { text($0, filterWords[$0] ?? "") }
        switch route {
        case .records:
            list += [
                Parameter("partition", in: .query, schema: #"{"type":"integer","minimum":0,"maximum":2147483647}"#),
                Parameter(
                    "offset", in: .query, "from here on",
                    schema: #"{"type":"integer","minimum":0,"maximum":9223372036854775807}"#),
                text("time", "from here on: RFC 3339, or how long ago, as 90m"), text("key", "of this key alone"),
                number("limit", "no more than so many", 100), unmasked,
            ]
        case .groups: list += filter + [number("limit", "no more than so many", 1000)]
        case .letters:
            list +=
                filter + [
                    number("limit", "no more than so many", 1000), text("after", "what the page before said as next"),
                ]
        case .letter: list.append(unmasked)
        case .audit, .replays: list.append(number("limit", "no more than so many", 1000))
        case .metrics:
            list += [
                Parameter(
                    "metric", in: .query, "impressions, clicks, conversions, orders, revenue or an event's type",
                    schema: #"{"type":"string","minLength":1}"#, isRequired: true),
                text("campaign", "of this campaign alone"),
                text("since", "from here on: RFC 3339, or how long ago, as 90m or 7d; a day when it is not said"),
                text("until", "up to here, that not included"),
                Parameter(
                    "step", in: .query, "how long a window is", schema: #"{"type":"string","enum":["1m","1h","1d"]}"#),
                text("by", "for each value of this dimension, instead of over all"),
            ]
        case .session, .fleet, .fleetEvents, .pause, .resume, .topics, .note, .discard, .restore, .replay, .job,
            .jobEvents, .changeJob, .description:
            break
        }
        if route.method == "POST" {
            list.append(
                Parameter(
                    "X-Flotilla-Console", in: .header, "so that no page of others can ask",
                    schema: #"{"type":"string","enum":["1"]}"#, isRequired: true))
        }
        return list
    }

    private static let filterWords = [
        "topic": "whose record it was, of this topic", "handler": "who could not handle it", "reason": "as exhausted",
        "fingerprint": "of this group", "type": "of this ce_type", "key": "of this key",
        "state": "one or several with commas: open, replaying, replayed, resolved, discarded, expired",
        "since": "dead since: RFC 3339, HH:MM of the last day (UTC), or how long ago", "until": "and before this",
        "id": "these alone, with commas",
    ]

    private static func order(of route: Route) -> String? {
        switch route {
        case .pause:
            #"{"type":"object","additionalProperties":false,"properties":{"partition":{"type":"integer","minimum":0,"maximum":2147483647},"reason":{"type":"string","maxLength":\#(Console.mostWords)}}}"#
        case .resume:
            #"{"type":"object","additionalProperties":false,"properties":{"partition":{"type":"integer","minimum":0,"maximum":2147483647}}}"#
        case .note:
            #"{"type":"object","additionalProperties":false,"properties":{"note":{"type":"string","maxLength":\#(Console.mostWords)}}}"#
        case .discard, .restore:
            ##"{"type":"object","additionalProperties":false,"required":["filter"],"properties":{"filter":{"$ref":"#/components/schemas/Filter"},"confirm":{"type":"integer","minimum":1,"maximum":1000000000,"description":"how many are meant; refused when more fit. Without it nothing is done, and told how many fit"}}}"##
        case .replay:
            ##"{"type":"object","additionalProperties":false,"required":["filter"],"properties":{"filter":{"$ref":"#/components/schemas/Filter"},"confirm":{"type":"integer","minimum":1,"maximum":1000000000,"description":"how many are meant; refused when more fit. Without it nothing is done, and told how many fit and where they would go"},"rate":{"type":"integer","minimum":1,"maximum":10000},"canary":{"type":"integer","minimum":0,"maximum":10000},"to_source":{"type":"boolean"}}}"##
        case .session, .fleet, .fleetEvents, .topics, .records, .groups, .letters, .letter, .audit, .replays, .job,
            .jobEvents, .changeJob, .metrics, .description:
            nil
        }
    }

    private static func answer(of route: Route) -> OpenAPI.Content {
        func list(_ name: String, of schema: String, _ more: String = "") -> OpenAPI.Content {
            OpenAPI.Content(
                "application/json",
                ##"{"type":"object","required":["\##(name)"],"properties":{"\##(name)":{"type":"array","items":{"$ref":"#/components/schemas/\##(schema)"}}\##(more)}}"##
            )
        }
        return switch route {
        case .session:
            OpenAPI.Content(
                "application/json",
                #"{"type":"object","required":["name","role"],"properties":{"name":{"type":"string"},"role":{"enum":["read","operate"]}}}"#
            )
        case .fleet: .named("Fleet")
        case .fleetEvents, .jobEvents: OpenAPI.Content("text/event-stream", #"{"type":"string"}"#)
        case .records: .named("Records")
        case .groups: list("groups", of: "Group", #","states":{"type":"object"}"#)
        case .letters: list("dead_letters", of: "Letter", #","next":{"type":["string","null"]}"#)
        case .letter: .named("Letter")
        case .discard, .restore: .named("Fit")
        case .replays: list("replays", of: "Replay")
        case .replay:
            OpenAPI.Content(
                "application/json",
                ##"{"anyOf":[{"$ref":"#/components/schemas/Replay"},{"$ref":"#/components/schemas/Fit"}]}"##)
        case .job, .changeJob: .named("Replay")
        case .metrics: .named("Window", as: "application/x-ndjson")
        case .pause, .resume, .topics, .note, .audit, .description:
            OpenAPI.Content("application/json", #"{"type":"object"}"#)
        }
    }

    private static let filter: StaticString =
        #"{"type":"object","minProperties":1,"additionalProperties":false,"properties":{"topic":{"type":"string","minLength":1,"maxLength":40000},"handler":{"type":"string","minLength":1,"maxLength":40000},"reason":{"type":"string","minLength":1,"maxLength":40000},"fingerprint":{"type":"string","minLength":1,"maxLength":40000},"type":{"type":"string","minLength":1,"maxLength":40000},"key":{"type":"string","minLength":1,"maxLength":40000},"state":{"type":"string","maxLength":40000},"since":{"type":"string","maxLength":40000},"until":{"type":"string","maxLength":40000},"id":{"type":"string","maxLength":40000}}}"#
    private static let letter: StaticString =
        ##"{"type":"object","required":["id","state","handler","topic","reason","fingerprint","error","at"],"properties":{"id":{"type":"string"},"state":{"enum":["open","replaying","replayed","resolved","discarded","expired"]},"handler":{"type":"string"},"topic":{"type":"string"},"partition":{"type":"integer"},"offset":{"type":"integer"},"reason":{"type":"string"},"fingerprint":{"type":"string"},"error":{"type":"string"},"at":{"type":"string"},"body":{"$ref":"#/components/schemas/Body"},"headers":{"type":"array","items":{"type":"object"}},"story":{"type":"array","items":{"type":"object"}}}}"##
    private static let body: StaticString =
        #"{"type":"object","required":["kind","text","bytes","cut"],"properties":{"kind":{"enum":["json","text","binary","hidden","none"]},"text":{"type":"string"},"bytes":{"type":"integer"},"cut":{"type":"boolean"}}}"#
    private static let group: StaticString =
        #"{"type":"object","required":["fingerprint","handler","error","first","last","total","states","hours"],"properties":{"fingerprint":{"type":"string"},"handler":{"type":"string"},"error":{"type":"string"},"first":{"type":"string"},"last":{"type":"string"},"total":{"type":"integer"},"states":{"type":"object"},"hours":{"type":"array","items":{"type":"integer"}}}}"#
    private static let replay: StaticString =
        #"{"type":"object","required":["job","state","total","published","resolved","failed","skipped"],"properties":{"job":{"type":"string"},"state":{"enum":["waiting","canary","running","finishing","paused","stopped","cancelled","done"]},"total":{"type":"integer"},"published":{"type":"integer"},"resolved":{"type":"integer"},"failed":{"type":"integer"},"skipped":{"type":"integer"}}}"#
    private static let fit: StaticString =
        #"{"type":"object","properties":{"fit":{"type":"integer"},"targets":{"type":"array","items":{"type":"string"}},"discarded":{"type":"integer"},"restored":{"type":"integer"},"left":{"type":"integer"},"why":{"type":"string"}}}"#
    private static let fleet: StaticString =
        #"{"type":"object","required":["now","past"],"properties":{"now":{"type":"object","required":["at","handlers","workers"]},"past":{"type":"array","items":{"type":"object"}}}}"#
    private static let records: StaticString =
        ##"{"type":"object","required":["topic","looked","more","records"],"properties":{"topic":{"type":"string"},"looked":{"type":"integer"},"more":{"type":"boolean"},"records":{"type":"array","items":{"type":"object","required":["partition","offset","timestamp","record","body"],"properties":{"body":{"$ref":"#/components/schemas/Body"}}}}}}"##
    private static let window: StaticString =
        #"{"type":"object","required":["campaign_id","metric","window_start","step","dimensions","count","sum","uniques","p50","p95","p99","revision"]}"#
}
