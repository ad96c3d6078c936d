internal import CLinux
internal import Glibc
internal import Platform

/// Why a folder cannot hold a broker's data.
enum DataFolderFault: Error, CustomStringConvertible {
    case system(SystemError)
    case inUse(String)
    case foreign(String)
    case format(path: String, found: String)

    var description: String {
        switch self {
        case .system(let error): "\(error)"
        case .inUse(let path): "\(path) is in use by another broker: stop that one, or choose another --data folder"
        case .foreign(let path): "\(path) holds files that are not a broker's: choose an empty or a new --data folder"
        case .format(let path, let found): "\(path) has format \"\(found)\", which this version does not know"
        }
    }
}

/// A broker's folder: locked for as long as this object lives, and of a format that this version knows.
final class DataFolder {
    static let lockName = "lock"
    static let formatName = "format"
    private static let format = "flotilla-broker 1"

    let path: String
    /// The kernel drops the lock with the last descriptor, also when the process is killed.
    private let lock: any OpenFile

    /// Makes the folder, and those above it, when missing.
    init(_ path: String, files: any FileLayer) throws(DataFolderFault) {
        do {
            self.path = path
            try Self.makeFolders(path, files)
            lock = try files.open(path + "/" + Self.lockName, .existingOrNew)
            switch flotilla_try_lock(lock.descriptor) {
            case 0: break
            case EWOULDBLOCK: throw DataFolderFault.inUse(path)
            case let code: throw SystemError(code: code, call: "flock", subject: lock.path)
            }
            try Self.checkFormat(path, files)
        } catch let fault as DataFolderFault {
            throw fault
        } catch let error as SystemError {
            throw .system(error)
        } catch {
            preconditionFailure("an error of another kind: \(error)")
        }
    }

    private static func makeFolders(_ path: String, _ files: any FileLayer) throws(SystemError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            let parent = made.isEmpty ? "." : made
            made += (made.isEmpty || made == "/" ? "" : "/") + part
            // What is durable inside a folder whose own name is not, is not.
            if try files.makeDirectory(made) { try files.syncDirectory(parent) }
        }
    }

    private static func checkFormat(_ path: String, _ files: any FileLayer) throws {
        let names = try files.list(path)
        if names.contains(formatName) {
            let bytes = try SmallFile.read(path + "/" + formatName, limit: 256, files) ?? []
            let found = String(decoding: bytes, as: UTF8.self)
            guard found == format + "\n" else {
                throw DataFolderFault.format(path: path, found: String(found.prefix { $0 != "\n" }))
            }
            return
        }
        // A mistyped path must not fill somebody's home folder. What a mount brings along is nobody's.
        let expected = [lockName, formatName + SmallFile.temporary, "lost+found"]
        guard names.allSatisfy({ expected.contains($0) || $0.hasPrefix(".") }) else {
            throw DataFolderFault.foreign(path)
        }
        try SmallFile.replace(formatName, in: path, with: Array((format + "\n").utf8), files)
    }
}
