import Glibc
import Platform
import TestSupport
import Testing

@testable import Stack

@Suite struct FolderTests {
    private let folder = TemporaryFolder()

    @Test func nobodyElseGetsIn() throws {
        let stack = try StackFolder(making: folder.path + "/a/stack")
        #expect(stack.path.hasSuffix("/a/stack"))
        for place in [stack.broker, stack.redis, stack.logs] { #expect(mode(place) == 0o700) }
        #expect(mode(stack.path) == (geteuid() == 0 ? 0o711 : 0o700))
        // Once more is the same.
        _ = try StackFolder(making: stack.path)
        #expect(try StackFolder(existing: stack.path).path == stack.path)
    }

    private func mode(_ path: String) -> mode_t {
        var about = stat()
        return unsafe stat(path, &about) == 0 ? about.st_mode & 0o777 : 0
    }

    @Test func refusesWhatItWouldSpoil() throws {
        try Files.create(folder.path + "/photo.jpg", "x")
        #expect(refusal { try StackFolder(making: folder.path) }.contains("holds other things (photo.jpg)"))
        #expect(refusal { try StackFolder(existing: folder.path) }.contains("there is no stack"))
        #expect(refusal { try StackFolder(making: "/proc/stack") }.contains("cannot be made"))
        let long = folder.path + "/" + String(repeating: "x", count: 90)
        #expect(refusal { try StackFolder(making: long) }.contains("choose a shorter"))
    }

    @Test func refusesAnotherLayout() throws {
        let stack = try StackFolder(making: folder.path + "/s")
        unsafe unlink(stack.path + "/version")
        try Files.create(stack.path + "/version", "flotilla stack 2\n")
        #expect(refusal { try StackFolder(making: stack.path) }.contains("was made by another version"))
        #expect(refusal { try StackFolder(existing: stack.path) }.contains("was made by another version"))
    }

    @Test func oneStackAtATime() throws {
        let stack = try StackFolder(making: folder.path + "/s")
        #expect(!stack.isTaken)
        try stack.take()
        #expect(stack.isTaken)
        #expect(refusal { try stack.take() }.contains("a stack runs in"))
    }

    @Test func allOfItGoes() throws {
        let stack = try StackFolder(making: folder.path + "/s")
        try Files.create(stack.logs + "/.hidden", "x")
        unsafe symlink("/etc", stack.redis + "/link")
        try stack.removeAll()
        #expect(!Files.exists(stack.path))
        #expect(Files.exists("/etc/passwd"))
    }

    private func refusal(_ body: () throws -> StackFolder) -> String {
        do {
            _ = try body()
            return ""
        } catch { return "\(error)" }
    }

    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return ""
        } catch { return "\(error)" }
    }

    @Test func stackJSONIsReadAsItWasWritten() throws {
        var file = RunningFile()
        file.state = .ready
        file.admin = "127.0.0.1:9464"
        file.settings = ["KAFKA_BROKERS": "127.0.0.1:9092"]
        file.guests = ["/topics"]
        file.processes = [
            .init(name: "edge", role: "edge", handler: nil, id: .mine, admin: "127.0.0.1:1"),
            .init(name: "process-1", role: "worker", handler: "process", id: .mine, admin: nil),
        ]
        let path = folder.path + "/stack.json"
        try file.write(path)
        #expect(mode(path) == 0o600)
        let read = try #require(RunningFile.read(path))
        #expect(read.process == file.process && read.settings == file.settings && read.processes == file.processes)
        #expect(read.guests == ["/topics"] && read.state == .ready && read.admin == file.admin)
        for wrong in ["", "{}", "[]", "{\"pid\":1}", "{\"pid\":-1,\"began\":-1,\"state\":\"ready\"}"] {
            unsafe unlink(path)
            try Files.create(path, wrong)
            #expect(RunningFile.read(path)?.process.isRunning != true)
        }
    }

    @Test func takenPortsAreSeen() throws {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(server) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = unsafe withUnsafeMutablePointer(to: &address) { place in
            unsafe place.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(server, $0, size) == 0 && listen(server, 1) == 0 ? getsockname(server, $0, &size) : -1
            }
        }
        try #require(code == 0)
        let port = UInt16(bigEndian: address.sin_port)
        #expect(Ports.listens(port))
        #expect(throws: SystemError.self) { try Ports.check("127.0.0.1", port) }
        #expect(try Ports.free() > 0)
    }
}
