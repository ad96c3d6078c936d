/// One thing that a server answers to. A case each, so that the table in which requests are found, and the description of
/// the API that is written from it, cannot name different ones.
package protocol WebRoute: CaseIterable, Hashable, Sendable {
    /// Paths, with `{name}` for a part that is any.
    var templates: [String] { get }
    var method: String { get }
    var summary: String { get }
}

/// Finds the route of a request.
package struct RouteTable<Route: WebRoute>: Sendable {
    private let all: [(route: Route, parts: [Substring])]

    package init() {
        all = Route.allCases.flatMap { route in
            route.templates.map { (route, $0.split(separator: "/", omittingEmptySubsequences: false)) }
        }
    }

    /// The routes of a path, and what stands for each `{name}` of it, decoded, in their order. More than one when they
    /// differ in their method.
    package func find(_ path: String) -> [(route: Route, values: [String])] {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return all.compactMap { route, template in
            guard template.count == parts.count else { return nil }
            var values: [String] = []
            for (wanted, part) in zip(template, parts) {
                if wanted.hasPrefix("{") {
                    guard let value = String(part).percentDecoded else { return nil }
                    values.append(value)
                } else if wanted != part {
                    return nil
                }
            }
            return (route, values)
        }
    }
}

extension WebRoute {
    /// What stands for `{name}` in its first template, in their order.
    package var placeholders: [String] {
        (templates.first ?? "").split(separator: "/").filter { $0.hasPrefix("{") }.map {
            String($0.dropFirst().dropLast())
        }
    }
}
