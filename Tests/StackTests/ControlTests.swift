import Platform
import TestSupport
import Testing

@testable import Stack

@Suite struct ControlTests {
    @Test func asksAndAnswersInLines() {
        #expect(ControlRequest(ControlRequest.scale(["process": 4]).line) == .scale(["process": 4]))
        for answer in [ControlAnswer.scaled(["a": 1]), .refused("no \"such\" handler")] {
            #expect(ControlAnswer(answer.line) == answer)
        }
        for wrong in ["", "{}", "null", "{\"scale\":{\"a\":\"b\"}}", "{\"scale\":{\"a\":1.5}}", "nonsense"] {
            #expect(ControlRequest(wrong) == nil)
        }
    }

    @Test func isToldOverASocket() throws {
        let folder = TemporaryFolder()
        let stack = try StackFolder(making: folder.path + "/s")
        #expect(throws: StackFault.self) { try stack.ask(.scale([:])) }
        let socket = try ControlSocket(stack.control) { request in
            guard case .scale(let targets) = request, !targets.isEmpty else { return .refused("nothing") }
            return .scaled(targets)
        }
        #expect(try stack.ask(.scale(["process": 2])) == .scaled(["process": 2]))
        #expect(try stack.ask(.scale([:])) == .refused("nothing"))
        socket.close()
        #expect(!Files.exists(stack.control))
    }
}
