import Foundation
import Testing

@testable import LocalBroker

@Suite struct DocumentedVersionsTests {
    /// The table in docs/local-broker.md has every API that is advertised, with its versions, and no other.
    @Test func theDocumentationIsTrue() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let text = try String(contentsOf: root.appending(path: "docs/local-broker.md"), encoding: .utf8)
        let section = try #require(text.components(separatedBy: "Versions it speaks:").last)
        let table = try #require(section.components(separatedBy: "\n\n").dropFirst().first)
        var documented: [String: String] = [:]
        for line in table.split(separator: "\n").dropFirst(2) {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            for pair in stride(from: 0, to: cells.count - 1, by: 2) {
                documented[cells[pair].lowercased()] = String(cells[pair + 1].prefix { $0 != " " })
            }
        }
        var spoken: [String: String] = [:]
        for key in ApiKey.allCases where key.isAdvertised {
            let versions = key.versions
            spoken["\(key)".lowercased()] =
                versions.count == 1 ? "\(versions.lowerBound)" : "\(versions.lowerBound)–\(versions.upperBound)"
        }
        #expect(documented == spoken)
    }
}
