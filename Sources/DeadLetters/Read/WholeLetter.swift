internal import Flotilla
internal import Kafka
package import Model
internal import Platform

/// A dead letter as the record that it was: what did not fit into it is taken from where the record was first.
package struct WholeLetter: Sendable {
    /// As it lies in the dead-letter topic.
    package let copy: Record
    package let lacksBody: Bool
    package let lacksHeaders: Bool
    /// The record that the copy was made of, when something is lacking and it is still there.
    package let source: Record?

    /// Why it cannot be had as it was; nil when it can.
    package var loss: String? {
        guard source == nil, lacksBody || lacksHeaders else { return nil }
        return lacksBody ? "its body is gone" : "its large headers did not fit into the dead letter, and are gone"
    }

    package var value: [UInt8]? { lacksBody ? source?.valueBytes : copy.valueBytes }

    /// Everybody's as they were, as far as they are there, and then ours.
    package var headers: [Header] {
        guard lacksHeaders, let source else { return copy.headers }
        return source.headers.filter { !HeaderName.isOurs($0.name) }
            + copy.headers.filter { HeaderName.isOurs($0.name) }
    }
}

extension RecordReader {
    /// With what its source still has of it.
    package func whole(_ copy: Record, of letter: DeadLetter, _ namespace: Namespace) async throws -> WholeLetter {
        func isOmitted(_ name: String) -> Bool {
            copy.lastHeader(name).flatMap { $0 }.map { $0.elementsEqual("omitted".utf8) } ?? false
        }
        let (lacksBody, lacksHeaders) = (isOmitted(HeaderName.dlqBody), isOmitted(HeaderName.dlqHeaders))
        var source: Record?
        // One that is known by where it lies itself was made of nothing that could be found.
        if lacksBody || lacksHeaders, letter.source.topic != letter.family.deadLetters {
            let place = TopicPartition(namespace.topic(letter.source.topic), letter.source.partition)
            source = try await read(letter.source.offset, of: place)
        }
        return WholeLetter(
            copy: copy, lacksBody: lacksBody, lacksHeaders: lacksHeaders,
            source: source.flatMap { Self.is(copy, of: $0, lacksBody: lacksBody) ? $0 : nil })
    }

    /// Whether the copy was made of this record: topics are made anew, and then have other records at the same places.
    private static func `is`(_ copy: Record, of source: Record, lacksBody: Bool) -> Bool {
        guard source.keyBytes == copy.keyBytes else { return false }
        if lacksBody {
            let digest = copy.lastHeader(HeaderName.dlqBodySHA256).flatMap { $0 }
            guard let body = source.valueBytes,
                digest == Array(unsafe Digest.sha256(body.span.bytes).hex().utf8)
            else { return false }
        } else if source.valueBytes != copy.valueBytes {
            return false
        }
        let there = Set(source.headers)
        return copy.headers.allSatisfy { HeaderName.isOurs($0.name) || there.contains($0) }
    }
}
