import Glibc
import Platform
import Redis
import TestServers
import TestSupport
import Testing

/// `rediss://` against a server with a certificate of a test's own authority.
@Suite(.inTurns) struct TLSTests {
    /// A folder with an authority, and a certificate of it for `localhost`.
    private struct Authority {
        let folder = TemporaryFolder()

        init() throws {
            try run(
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                "-keyout", path("ca.key"), "-out", path("ca.pem"))
            try run(
                "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout", path("server.key"),
                "-out", path("server.csr"), "-addext", "subjectAltName=DNS:localhost")
            try run(
                "x509", "-req", "-in", path("server.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
                "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", path("server.pem"))
        }

        func path(_ name: String) -> String { folder.path + "/" + name }

        private func run(_ arguments: String...) throws {
            let pid = try Child.start("openssl", ["openssl"] + arguments)
            var status: Int32 = 0
            unsafe _ = waitpid(pid, &status, 0)
            try #require(status == 0, "openssl \(arguments)")
        }

        /// A server of this authority, at a port that was free a moment ago.
        func server() throws -> (RedisServer, port: Int) {
            let port = Int(try Ports.free())
            let server = try RedisServer([
                "--tls-port", "\(port)", "--bind", "127.0.0.1", "--tls-cert-file", path("server.pem"),
                "--tls-key-file", path("server.key"), "--tls-ca-cert-file", path("ca.pem"), "--tls-auth-clients", "no",
            ])
            return (server, port)
        }
    }

    private func answer(_ url: String) async throws -> Result<RedisValue, RedisFault> {
        let client = try RedisClient(try RedisConfiguration(url: url))
        defer { client.close() }
        do throws(RedisFault) {
            var set = RedisCommand("SET", "large")
            set.add([UInt8](repeating: 7, count: 3_000_000))
            _ = try await client.execute(set)
            return .success(try await client.execute(RedisCommand("STRLEN", "large")))
        } catch { return .failure(error) }
    }

    @Test func whatWeBelieveIsSpokenToAndNothingElseIs() async throws {
        let authority = try Authority()
        let stranger = try Authority()
        let (server, port) = try authority.server()
        defer { withExtendedLifetime(server) {} }
        do {
            let trusted = try await answer("rediss://localhost:\(port)?ca=\(authority.path("ca.pem"))")
            #expect(trusted == .success(.integer(3_000_000)))
            for url in [
                // Another authority, the system's authorities, and a name that is not in the certificate.
                "rediss://localhost:\(port)?ca=\(stranger.path("ca.pem"))", "rediss://localhost:\(port)",
                "rediss://127.0.0.1:\(port)?ca=\(authority.path("ca.pem"))",
            ] {
                guard case .failure(let fault) = try await answer(url) else {
                    Issue.record("\(url) was believed")
                    continue
                }
                #expect(fault.kind == .unreachable && fault.reason.contains("certificate verify failed"), "\(fault)")
            }
            // Speaking plainly to it fails, and so does a file that is not there.
            guard case .failure = try await answer("redis://localhost:\(port)"),
                case .failure(let missing) = try await answer("rediss://localhost:\(port)?ca=/nowhere")
            else {
                Issue.record("should have failed")
                return
            }
            #expect(missing.kind == .refused)
        }
    }
}
