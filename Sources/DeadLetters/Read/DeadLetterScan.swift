internal import Flotilla
package import Kafka
package import Model
package import Platform

/// The dead letters as their topics have them, for when the index is away: slower, with no states and no notes.
package struct DeadLetterScan: Sendable {
    let client: ClientConfiguration
    let namespace: Namespace

    /// So many are kept in memory at most; of more, the latest.
    private static let most = 100_000

    package init(_ client: ClientConfiguration, _ namespace: Namespace) {
        self.client = client
        self.namespace = namespace
    }

    package struct Result: Sendable {
        /// The latest first.
        package var letters: [DeadLetter] = []
        package var topics = 0
        package var records = 0
    }

    /// What fits, each in its latest copy.
    package func run(_ filter: DeadLetterFilter) async throws -> Result {
        let there = try await Admin.use(client) { try await $0.topics(nil) }
        let reader = try RecordReader(client)
        do {
            var result = Result()
            var found: [UUIDValue: DeadLetter] = [:]
            for topic in there.values {
                guard let family = DeadLetter.family(of: topic.name, namespace) else { continue }
                if let wanted = filter.topic, wanted != family.source.rawValue { continue }
                if let wanted = filter.handler, wanted != family.handler.rawValue { continue }
                result.topics += 1
                let places = topic.partitions.map { TopicPartition(topic.name, $0.partition) }
                try await reader.readAll(places, from: filter.since?.milliseconds) { record in
                    result.records += 1
                    guard !DeadLetter.isOfNamedFleet(record, family) else { return }
                    let letter = DeadLetter(record, of: family)
                    guard filter.fits(letter) else { return }
                    if let before = found[letter.id], before.copyReplays > letter.copyReplays { return }
                    found[letter.id] = letter
                    if found.count > 2 * Self.most { found = Self.latest(found) }
                }
            }
            await reader.close()
            result.letters = Self.latest(found).values.sorted {
                ($0.at, $0.id.description) > ($1.at, $1.id.description)
            }
            return result
        } catch {
            await reader.close()
            throw error
        }
    }

    private static func latest(_ found: [UUIDValue: DeadLetter]) -> [UUIDValue: DeadLetter] {
        guard found.count > most else { return found }
        return Dictionary(uniqueKeysWithValues: found.sorted { $0.value.at > $1.value.at }.prefix(most).map { $0 })
    }
}

extension [DeadLetter] {
    /// Grouped by what they died of, the largest first. They are to be in order, the latest first.
    package func groups(now: Timestamp) -> [DeadLetterGroup] {
        var groups: [String: DeadLetterGroup] = [:]
        let hour: Int64 = 3_600_000
        for letter in self {
            let fingerprint = letter.fingerprint
            var group =
                groups[fingerprint]
                ?? DeadLetterGroup(
                    fingerprint: fingerprint, handler: letter.family.handler, topics: [], reasons: [],
                    errorType: letter.errorType, errorMessage: letter.errorMessage, first: letter.at, last: letter.at,
                    sample: letter.id, total: 0, counts: [:], hours: Array<Int>(repeating: 0, count: 24))
            group.total += 1
            group.first = Swift.min(group.first, letter.at)
            let topic = letter.family.source.rawValue
            if !group.topics.contains(topic) { group.topics.append(topic) }
            if !group.reasons.contains(letter.reason) { group.reasons.append(letter.reason) }
            let back = now.milliseconds / hour - letter.at.milliseconds / hour
            if (0..<24).contains(back) { group.hours[23 - Int(back)] += 1 }
            groups[fingerprint] = group
        }
        return groups.values.sorted { ($0.total, $0.last, $0.fingerprint) > ($1.total, $1.last, $1.fingerprint) }
    }
}
