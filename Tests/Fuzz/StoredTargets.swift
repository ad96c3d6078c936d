import Flotilla
import Model

@testable import Aggregate

/// What lies in tables and in records, whoever wrote it.
let storedTargets = [
    Target(name: "quantiles") { input in
        guard let sketch = try? QuantileSketch(stored: sealed(.quantiles, input)) else { return }
        require((try? QuantileSketch(stored: sketch.stored)) == sketch, "what is stored is read otherwise")
        var twice = sketch
        twice.merge(sketch)
        let (before, after) = (sketch.quantiles(percents: [0, 50, 100]), twice.quantiles(percents: [0, 50, 100]))
        require(before == after, "\(before) are \(after) when there are two of each")
    },
    Target(name: "uniques") { input in
        guard let sketch = try? UniqueSketch(stored: sealed(.uniques, input)) else { return }
        require((try? UniqueSketch(stored: sketch.stored)) == sketch, "what is stored is read otherwise")
        var twice = sketch
        twice.merge(sketch)
        require(twice == sketch, "merged with itself it is another")
    },
    Target(name: "record") { readRecord($0) },
]

/// Bytes with the check that nobody finds by chance.
private func sealed(_ kind: SealedKind, _ input: [UInt8]) -> [UInt8] {
    guard let version = input.first else { return [] }
    var writer = SealedWriter(kind, version: version, capacity: input.count)
    writer.put(input.dropFirst())
    return writer.sealed()
}

/// A record whose headers are the input's lines `name: value`, and its value what follows an empty line.
private func readRecord(_ input: [UInt8]) {
    let lines = input.split(separator: 10, omittingEmptySubsequences: false)
    var arena = RecordArena.Builder(records: 1)
    var value: [UInt8]?
    for (number, line) in lines.enumerated() {
        if line.isEmpty {
            value = Array(lines[(number + 1)...].joined(separator: [10]))
            break
        }
        let parts = line.split(separator: 58, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        unsafe parts[0].withUnsafeBytes { name in
            guard parts.count > 1 else { return unsafe arena.addHeader(name, nil) }
            unsafe parts[1].withUnsafeBytes { unsafe arena.addHeader(name, $0) }
        }
    }
    let headers = Int32(arena.headerTotal)
    let topic = arena.intern("orders")
    let start = arena.byteCount
    let count = value.map { bytes in unsafe bytes.withUnsafeBytes { unsafe arena.append($0) } } ?? -1
    arena.add(
        RecordArena.Entry(
            topic: topic, partition: 0, offset: 0, timestamp: -1, start: start, counts: (-1, count),
            headers: (0, headers)))
    guard let record = RecordBatch(arena.finish()).first, let event = try? Event(record) else { return }
    _ = (
        event.id, event.source, event.type, event.subject, event.timeText, event.trace, event.schema, event.header("x")
    )
}
