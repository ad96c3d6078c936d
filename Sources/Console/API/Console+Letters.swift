internal import Contracts
internal import DeadLetters
internal import HTTP
internal import JSON
internal import Kafka
internal import Model
internal import Platform
internal import WebAPI

// Dead letters: what died of what, one of them, and what is done about it short of a replay.
extension Console {
    private static let shownBytes = 256 << 10

    private func filter(_ questions: Questions) throws(DeadLetterFilter.Fault) -> DeadLetterFilter {
        try DeadLetterFilter(now: Time.wallMilliseconds) { questions[$0] }
    }

    func groups(_ call: Call) async throws -> HTTPResponse {
        let questions = try call.questions(DeadLetterFilter.names + ["limit"])
        let limit = try questions.number("limit", in: 1...1000) ?? 100
        let filter = try filter(questions)
        let now = Timestamp(milliseconds: Time.wallMilliseconds)
        let groups = try await place.index().groups(filter, limit: limit, now: now)
        // Of all that fits otherwise: whoever looks at what is open sees how much of the same is not.
        var ofAnyState = filter
        ofAnyState.states = []
        let counts = try await place.index().counts(ofAnyState)
        return .json { json in
            json.object("states") { json in
                for state in DeadLetterState.allCases { json.member(state.rawValue, counts[state] ?? 0) }
            }
            json.array("groups") { list in for group in groups { list.object { group.write(to: &$0) } } }
        }
    }

    func letters(_ call: Call) async throws -> HTTPResponse {
        let questions = try call.questions(DeadLetterFilter.names + ["limit", "after"])
        let limit = try questions.number("limit", in: 1...1000) ?? 50
        var after: DeadLetterIndex.Place?
        if let text = questions["after"] {
            guard let place = DeadLetterIndex.Place(text: text) else {
                throw Questions.fault("after", "is what a list said as next")
            }
            after = place
        }
        let filter = try filter(questions)
        let letters = try await place.index().list(filter, limit: limit + 1, after: after)
        let shown = letters.prefix(limit)
        return .json { json in
            json.array("dead_letters") { list in for letter in shown { list.object { letter.write(to: &$0) } } }
            json.name("next")
            if letters.count > limit, let last = shown.last {
                json.append(DeadLetterIndex.Place(at: last.letter.at, id: last.letter.id).description)
            } else {
                json.appendNull()
            }
        }
    }

    func letter(_ call: Call) async throws -> HTTPResponse {
        let questions = try call.questions(["unmasked"])
        let isUnmasked = try call.isUnmasked(questions)
        let (id, index) = (try id(of: call), try place.index())
        guard let found = try await index.find(id) else { throw Self.missing(id) }
        if isUnmasked {
            var filter = DeadLetterFilter()
            filter.ids = [id]
            try await index.noteUnmasked(filter, "show", count: 1, who: call.user.name)
        }
        let rounds = try await index.rounds(of: id)
        let topics = Set(try await place.admin.topics(nil).keys)
        let page = try await looks.run {
            try await place.withReader { reader in
                try await LetterPage(
                    found, rounds, place.namespace, place.catalog, topics: topics,
                    reader, isUnmasked: isUnmasked, limit: Self.shownBytes)
            }
        }
        return .json { json in
            page.indexed.write(to: &json)
            json.array("headers") { list in
                for header in page.headers {
                    list.object { json in
                        json.member("name", header.name)
                        json.member("value", header.shown)
                    }
                }
            }
            json.array("story") { list in
                for line in page.story {
                    list.object { json in
                        json.member("at", line.at.description)
                        json.member("what", line.what)
                    }
                }
            }
            ShownBody(page.body, bytes: page.bodyBytes, limit: Self.shownBytes).write(to: &json)
            json.member("body_note", page.bodyNote ?? "")
            json.member("headers_note", page.headersNote ?? "")
        }
    }

    func note(_ call: Call) async throws -> HTTPResponse {
        let order = try call.order(["note"])
        let (id, index) = (try id(of: call), try place.index())
        let text = try order.text("note", most: Self.mostWords) ?? ""
        guard try await index.find(id) != nil else { throw Self.missing(id) }
        try await index.note(id, text, who: call.user.name)
        return .json { $0.member("note", text) }
    }

    /// Discards or restores.
    func move(_ call: Call) async throws -> HTTPResponse {
        let order = try call.order(["filter", "confirm"])
        let isDiscard = call.route == .discard
        let state: DeadLetterState = isDiscard ? .open : .discarded
        let said = try chosen(order)
        // What was replayed and nobody tells of can be given up, when that is what is said.
        let isGivenUp = !isDiscard && said.states == [.replayed]
        guard let filter = said.narrowed(to: isGivenUp ? .replayed : state) else {
            throw Problem(
                409, "only what is \(state.rawValue)\(isDiscard ? "" : ", or replayed alone,") can be meant")
        }
        let index = try place.index()
        guard let confirmed = try order.number("confirm", in: 1...1_000_000_000) else {
            // Nothing is changed by asking how many that would be.
            let count = try await index.count(filter)
            return .json { $0.member("fit", count) }
        }
        if isGivenUp {
            let copies = try await WaitingCopies(filter, index, place.configuration.client, place.namespace)
            let given = try await index.giveUp(
                filter, confirmed: confirmed, who: call.user.name, waiting: copies)
            return .json { json in
                json.member("restored", given.count)
                guard given.left > 0 else { return }
                json.member("left", given.left)
                json.member("why", given.why)
            }
        }
        let count =
            isDiscard
            ? try await index.discard(filter, confirmed: confirmed, who: call.user.name)
            : try await index.restore(filter, confirmed: confirmed, who: call.user.name)
        return .json { $0.member(isDiscard ? "discarded" : "restored", count) }
    }

    func audit(_ call: Call) async throws -> HTTPResponse {
        let limit = try call.questions(["limit"]).number("limit", in: 1...1000) ?? 100
        let lines = try await place.index().audit(limit: limit)
        return .json { json in json.array("audit") { list in for line in lines { list.object { line.write(to: &$0) } } }
        }
    }

    /// The filter of a body. What is meant is to be said: nothing is not all.
    func chosen(_ order: Order) throws -> DeadLetterFilter {
        let texts = try order.texts("filter", of: DeadLetterFilter.names)
        let filter: DeadLetterFilter
        do throws(DeadLetterFilter.Fault) {
            filter = try DeadLetterFilter(now: Time.wallMilliseconds) { texts[$0] }
        } catch { throw Order.fault("filter/\(error.name)", error.problem) }
        guard !filter.isEmpty else { throw Order.fault("filter", "is missing: which dead letters are meant?") }
        return filter
    }

    private func id(of call: Call) throws(Problem) -> UUIDValue {
        guard let id = UUIDValue(text: call.subject) else {
            throw Problem(404, "\(String(call.subject.prefix(80)).debugDescription) is no dead letter's id")
        }
        return id
    }

    private static func missing(_ id: UUIDValue) -> Problem { Problem(404, "there is no dead letter \(id)") }
}
