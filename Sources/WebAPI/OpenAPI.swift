internal import JSON

/// /openapi.json: OpenAPI 3.1, written from the same table that requests are found in.
package struct OpenAPI {
    /// A parameter of an operation.
    package struct Parameter {
        package enum Place: String { case path, query, header }

        let name: String
        let place: Place
        let about: String
        /// JSON.
        let schema: String
        let isRequired: Bool

        package init(
            _ name: String, in place: Place, _ about: String = "", schema: String = #"{"type":"string"}"#,
            isRequired: Bool = false
        ) {
            self.name = name
            self.place = place
            self.about = about
            self.schema = schema
            self.isRequired = isRequired || place == .path
        }
    }

    /// What is asked with, or answered: a type of media, and a schema in JSON.
    package struct Content {
        let type: String
        let schema: String

        package init(_ type: String, _ schema: String = "{}") {
            self.type = type
            self.schema = schema
        }

        /// The schema of `components` that has this name.
        package static func named(_ name: String, as type: String = "application/json") -> Content {
            Content(type, ##"{"$ref":"#/components/schemas/\##(name)"}"##)
        }

        package static let problem = named("Problem", as: "application/problem+json")
    }

    package struct Operation {
        package var parameters: [Parameter] = []
        package var body: [Content] = []
        package var answers: [(status: Int, content: Content?)] = []

        package init() {}

        /// The same content with several statuses.
        package mutating func answer(_ statuses: [Int], _ content: Content?) {
            answers += statuses.map { ($0, content) }
        }
    }

    package var title: String
    package var about: String
    /// Name and JSON of what `Content.named` means, `Problem` apart.
    package var schemas: [(name: String, json: StaticString)] = []
    /// Whether callers show who they are with `Authorization: Bearer`.
    package var hasBearers = false

    package init(title: String, about: String) {
        self.title = title
        self.about = about
    }

    package func document<Route: WebRoute>(
        of routes: Route.Type, _ operation: (Route) -> Operation
    ) -> [UInt8] {
        var json = JSONWriter(capacity: 8192)
        json.object { json in
            json.member("openapi", "3.1.0")
            json.object("info") { json in
                json.member("title", title)
                json.member("version", "1")
                json.member("description", about)
            }
            json.object("paths") { json in
                for (template, routes) in Self.paths(of: Route.self) {
                    json.object(template) { json in
                        for route in routes {
                            json.object(route.method.lowercased()) {
                                Self.write(&$0, route, template, operation(route))
                            }
                        }
                    }
                }
            }
            json.object("components") { json in
                json.object("schemas") { json in
                    for (name, text) in schemas + [("Problem", Self.problem)] {
                        json.name(name)
                        json.append(json: "\(text)".utf8)
                    }
                }
                if hasBearers {
                    json.name("securitySchemes")
                    json.append(json: #"{"bearer":{"type":"http","scheme":"bearer"}}"#.utf8)
                }
            }
            if hasBearers {
                json.name("security")
                json.append(json: #"[{"bearer":[]},{}]"#.utf8)
            }
        }
        return json.bytes
    }

    /// Each path once, in the order of the table.
    private static func paths<Route: WebRoute>(of routes: Route.Type) -> [(String, [Route])] {
        var paths: [(String, [Route])] = []
        for route in Route.allCases {
            for template in route.templates {
                if let index = paths.firstIndex(where: { $0.0 == template }) {
                    paths[index].1.append(route)
                } else {
                    paths.append((template, [route]))
                }
            }
        }
        return paths
    }

    private static func write(
        _ json: inout JSONWriter, _ route: some WebRoute, _ template: String, _ operation: Operation
    ) {
        json.member("summary", route.summary)
        let name = template.split(separator: "/").joined(separator: "_").filter { $0 != "{" && $0 != "}" }
        json.member("operationId", route.method == "GET" ? name : "\(route.method.lowercased())_\(name)")
        if !operation.parameters.isEmpty {
            json.array("parameters") { list in
                for parameter in operation.parameters { list.object { write(&$0, parameter) } }
            }
        }
        if !operation.body.isEmpty {
            json.object("requestBody") { json in
                json.member("required", true)
                json.object("content") { json in for content in operation.body { write(&json, content) } }
            }
        }
        json.object("responses") { json in
            for (status, content) in operation.answers {
                json.object("\(status)") { json in
                    json.member("description", status < 300 ? "as it should be" : Problem.title(status))
                    if let content { json.object("content") { write(&$0, content) } }
                }
            }
        }
    }

    private static func write(_ json: inout JSONWriter, _ parameter: Parameter) {
        json.member("name", parameter.name)
        json.member("in", parameter.place.rawValue)
        if parameter.isRequired { json.member("required", true) }
        if !parameter.about.isEmpty { json.member("description", parameter.about) }
        json.name("schema")
        json.append(json: parameter.schema.utf8)
    }

    private static func write(_ json: inout JSONWriter, _ content: Content) {
        json.object(content.type) { json in
            json.name("schema")
            json.append(json: content.schema.utf8)
        }
    }

    private static let problem: StaticString =
        ##"{"type":"object","required":["type","title","status","detail"],"properties":{"type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},"errors":{"type":"array","items":{"type":"object","required":["detail"],"properties":{"index":{"type":"integer"},"pointer":{"type":"string"},"header":{"type":"string"},"parameter":{"type":"string"},"detail":{"type":"string"}}}}}}"##
}
