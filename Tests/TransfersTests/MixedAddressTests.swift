import Testing
import Transfers

/// Names that lead to several addresses. None of them is looked up, and none leads out of this machine: what counts as
/// public here is in a range that nobody has.
@Suite struct MixedAddressTests {
    private static let unused = "3ffe:ffff::1"

    private func post(_ addresses: String) async throws -> TransferFault? {
        let transfers = try Transfers(names: ["mixed.test:9:\(addresses)"])
        defer { transfers.close() }
        do {
            _ = try await transfers.post(
                Transfers.Post(
                    try WebAddress("http://mixed.test:9/"), headers: [], body: [], within: .seconds(2),
                    mayBePrivate: false))
            return nil
        } catch let fault as TransferFault { return fault }
    }

    @Test func whatHasOnlyPrivateOnesIsRefused() async throws {
        #expect(try await post("10.0.0.1,127.0.0.1,[::1]")?.kind == .privateAddress)
    }

    /// The public one was tried and did not answer, which may be otherwise later.
    @Test(arguments: ["127.0.0.1,[\(unused)]", "[\(unused)],127.0.0.1", "[::1],[\(unused)]"])
    func oneThatIsPublicMayAnswerLater(_ addresses: String) async throws {
        let kind = try #require(try await post(addresses)).kind
        #expect(kind == .unreachable || kind == .timedOut, "\(kind)")
    }
}
