internal import HTTP
internal import JSON
internal import WebAPI

/// The query of a request, with nothing in it that the route does not know.
struct Questions {
    private var values: [String: String] = [:]

    init(_ request: HTTPRequest, of names: [String]) throws(Problem) {
        for field in request.query {
            guard let name = Self.plain(field.name), let value = Self.plain(field.value) else {
                throw Problem(400, "the query is not percent-encoded UTF-8")
            }
            guard names.contains(name) else {
                let known = names.isEmpty ? "none" : names.joined(separator: ", ")
                throw Self.fault(name, "is not known here: there is \(known)")
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw Self.fault(name, "is there more than once")
            }
        }
        // An empty field of a form says nothing.
        values = values.filter { !$0.value.isEmpty }
    }

    subscript(name: String) -> String? { values[name] }

    func number(_ name: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
        guard let text = values[name] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw Self.fault(name, "is a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func flag(_ name: String) throws(Problem) -> Bool {
        switch values[name] {
        case nil, "false": false
        case "true": true
        case _: throw Self.fault(name, "is true or false")
        }
    }

    static func fault(_ name: String, _ detail: String) -> Problem {
        let name = String(name.prefix(80))
        var problem = Problem(400, "\(name) \(detail)")
        var fault = Problem.Fault(detail)
        fault.parameter = name
        problem.errors = [fault]
        return problem
    }

    private static func plain(_ text: String) -> String? {
        (text.contains("+") ? String(text.map { $0 == "+" ? " " : $0 }) : text).percentDecoded
    }
}

/// The body of a request: an object of JSON, with nothing in it that the route does not know.
struct Order {
    private var members: [String: JSONValue] = [:]

    /// No body is an empty object.
    init(_ body: [UInt8], of names: [String]) throws(Problem) {
        guard !body.isEmpty else { return }
        let root: JSONValue
        do throws(JSONFault) { root = try JSONDocument(parsing: body).root } catch {
            throw Problem(400, "the body is not JSON: \(error)")
        }
        guard root.kind == .object else { throw Problem(422, "the body is to be an object") }
        for member in root.members {
            guard names.contains(member.name) else {
                throw Self.fault(member.name, "is not known here: there is \(names.joined(separator: ", "))")
            }
            guard members.updateValue(member.value, forKey: member.name) == nil else {
                throw Self.fault(member.name, "is there more than once")
            }
        }
    }

    /// `most`: so many characters, as JSON Schema counts them.
    func text(_ name: String, most: Int) throws(Problem) -> String? {
        guard let value = members[name], !value.isNull else { return nil }
        guard let text = value.string, text.unicodeScalars.count <= most, !text.utf8.contains(0) else {
            throw Self.fault(name, "is text of at most \(most) characters")
        }
        return text
    }

    func number(_ name: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
        guard let value = members[name], !value.isNull else { return nil }
        guard let number = value.int64.flatMap({ Int(exactly: $0) }), range.contains(number) else {
            throw Self.fault(name, "is a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func flag(_ name: String) throws(Problem) -> Bool {
        guard let value = members[name], !value.isNull else { return false }
        guard let flag = value.bool else { throw Self.fault(name, "is true or false") }
        return flag
    }

    /// A thousand ids have so many, and more are not taken.
    static let mostText = 40_000

    /// An object of texts.
    func texts(_ name: String, of names: [String]) throws(Problem) -> [String: String] {
        guard let value = members[name], !value.isNull else { return [:] }
        guard value.kind == .object else { throw Self.fault(name, "is an object") }
        var texts: [String: String] = [:]
        for member in value.members {
            guard names.contains(member.name) else {
                throw Self.fault(
                    "\(name)/\(member.name)", "is not known here: there is \(names.joined(separator: ", "))")
            }
            guard let text = member.value.string, text.unicodeScalars.count <= Self.mostText, !text.utf8.contains(0)
            else {
                throw Self.fault("\(name)/\(member.name)", "is text of at most \(Self.mostText) characters")
            }
            if !text.isEmpty { texts[member.name] = text }
        }
        return texts
    }

    static func fault(_ name: String, _ detail: String) -> Problem {
        let name = String(name.prefix(80))
        var problem = Problem(422, "\(name) \(detail)")
        var fault = Problem.Fault(detail)
        fault.pointer = "/\(name)"
        problem.errors = [fault]
        return problem
    }
}
