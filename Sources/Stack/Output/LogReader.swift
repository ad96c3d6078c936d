internal import CLinux
internal import Glibc
internal import Platform

/// Reads back what the processes of a stack said: their files, each line with its time in front, as one.
package struct LogReader {
    private let folder: String
    private let names: @Sendable (String) -> Bool
    /// How far each file was read, by its number on the disk: it has another name when it was set aside.
    private var positions: [UInt64: Int] = [:]
    private var splitters: [UInt64: LineSplitter] = [:]

    package struct Line: Hashable, Sendable {
        package let time: String
        package let name: String
        package let text: String
    }

    /// More than this of one file is not looked at.
    private static let most = 4 << 20

    /// `wanted`: of whom, a process (`process-2`) or all of a handler; nil is all.
    package init(_ folder: StackFolder, of wanted: String?) {
        self.folder = folder.logs
        names = { name in
            guard let wanted else { return true }
            let number = name.dropFirst(wanted.count)
            return name == wanted || (name.hasPrefix(wanted + "-") && Int(number.dropFirst()) != nil)
        }
    }

    /// What came since the last time, by time; the first time what is there.
    package mutating func next() throws -> [Line] {
        var found: [Line] = []
        var seen: Set<UInt64> = []
        for file in try Files.names(in: folder) {
            // `process-1.log`, `process-1.log.2`.
            guard let dot = file.firstRange(of: ".log"), names(String(file[..<dot.lowerBound])) else { continue }
            let name = String(file[..<dot.lowerBound])
            guard let (number, bytes) = read("\(folder)/\(file)") else { continue }
            seen.insert(number)
            for line in splitters[number, default: LineSplitter()].take(bytes) {
                let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, parts[0].utf8.count == 24 else { continue }
                found.append(Line(time: String(parts[0]), name: name, text: String(parts[1])))
            }
        }
        positions = positions.filter { seen.contains($0.key) }
        splitters = splitters.filter { seen.contains($0.key) }
        // Equal times stay as they stand in their file.
        return found.enumerated().sorted { ($0.element.time, $0.offset) < ($1.element.time, $1.offset) }.map(\.element)
    }

    private mutating func read(_ path: String) -> (UInt64, [UInt8])? {
        let file = unsafe flotilla_open(path, O_RDONLY, 0)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var about = stat()
        guard unsafe fstat(file, &about) == 0 else { return nil }
        let (number, size) = (UInt64(about.st_ino), Int(about.st_size))
        let from = positions[number] ?? max(0, size - Self.most)
        guard size > from else {
            positions[number] = size
            return (number, [])
        }
        var got = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: min(size - from, Self.most)) { buffer, count in
            got = unsafe pread(file, buffer.baseAddress, buffer.count, from)
            count = max(0, got)
        }
        positions[number] = from + max(0, got)
        return (number, bytes)
    }
}
