import Edge
import Glibc
import HTTP
import Model
import Platform
import TestServers
import TestSupport
import Testing

/// The edge over TLS, under curl: who shows a certificate of the right authority is called by its name.
@Suite(.inTurns) struct EdgeTLSTests {
    private struct Authority {
        let folder = TemporaryFolder()

        init() throws {
            try run(
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout",
                path("ca.key"), "-out", path("ca.pem"))
            for (name, purpose) in [
                ("localhost", "serverAuth,clientAuth"), ("alice", "clientAuth"), ("a b", "clientAuth"),
                ("shop", "serverAuth"),
            ] {
                try run(
                    "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\(name)", "-keyout", path(name + ".key"),
                    "-out", path(name + ".csr"), "-addext", "subjectAltName=DNS:localhost", "-addext",
                    "extendedKeyUsage=\(purpose)")
                try run(
                    "x509", "-req", "-in", path(name + ".csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
                    "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", path(name + ".pem"))
            }
        }

        func path(_ name: String) -> String { folder.path + "/" + name }

        func text(_ name: String) throws -> String {
            String(decoding: try #require(try Files.read(path(name), limit: 1 << 20)), as: UTF8.self)
        }

        private func run(_ arguments: String...) throws {
            #expect(try EdgeTLSTests.run("openssl", arguments) == 0, "openssl \(arguments)")
        }
    }

    private static func run(_ program: String, _ arguments: [String]) throws -> Int32 {
        let pid = try Child.start(program, [program] + arguments)
        var status: Int32 = 0
        unsafe _ = waitpid(pid, &status, 0)
        return status
    }

    @Test func aCertificateSaysWhoSends() async throws {
        let authority = try Authority()
        let stranger = try Authority()
        let tls = HTTPConfiguration.TLS(
            certificate: try authority.text("localhost.pem"), key: try authority.text("localhost.key"),
            clientAuthority: try authority.text("ca.pem"))
        try await EdgeSite.with({ configuration in
            configuration.http.tls = tls
            configuration.access.takesCertificates = true
            configuration.access.open = nil
        }) { site in
            let answers = TemporaryFolder()
            var asked = 0
            /// The status that curl sees; nil when there is no answer.
            func status(_ options: String..., trusting: Authority? = nil) throws -> String? {
                asked += 1
                let heads = answers.path + "/\(asked)"
                let code = try Self.run(
                    "curl",
                    [
                        "-s", "--cacert", (trusting ?? authority).path("ca.pem"), "-D", heads, "-o", "/dev/null", "-d",
                        #"{"event_type":"t"}"#, "-H", "content-type: application/json",
                        "https://localhost:\(site.edge.port)/v1/events", "--resolve",
                        "localhost:\(site.edge.port):127.0.0.1",
                    ] + options)
                guard code == 0, let head = try Files.read(heads, limit: 100_000) else { return nil }
                return String(decoding: head, as: UTF8.self).split(separator: " ").dropFirst().first.map(String.init)
            }
            func certificate(_ name: String, of authority: Authority) -> [String] {
                ["--cert", authority.path(name + ".pem"), "--key", authority.path(name + ".key")]
            }
            let alice = certificate("alice", of: authority)
            #expect(try status(alice[0], alice[1], alice[2], alice[3]) == "202")
            #expect(try status() == "401")
            // The right name, by the wrong hand; a name that is none here; a server that the client does not believe.
            let other = certificate("alice", of: stranger)
            #expect(try status(other[0], other[1], other[2], other[3]) != "202")
            let odd = certificate("a b", of: authority)
            #expect(try status(odd[0], odd[1], odd[2], odd[3]) == "401")
            #expect(try status(alice[0], alice[1], alice[2], alice[3], trusting: stranger) == nil)
            // A server of the same authority is no caller.
            let server = certificate("shop", of: authority)
            #expect(try status(server[0], server[1], server[2], server[3]) == "401")
            // What is too old for anybody.
            for (version, answer) in [("1.1", nil), ("1.2", "202")] as [(String, String?)] {
                #expect(
                    try status(
                        alice[0], alice[1], alice[2], alice[3], "--tlsv1.0", "--tls-max", version, "--ciphers",
                        "DEFAULT@SECLEVEL=0") == answer, "\(version)")
            }
            // Who does not speak TLS gets nowhere, and is in nobody's way.
            let plain = try site.client()
            await plain.send("POST /v1/events HTTP/1.1\r\nHost: a\r\n\r\n")
            _ = try? await plain.isClosedByServer()
            #expect(try status(alice[0], alice[1], alice[2], alice[3]) == "202")
            let records = try await site.read("events.raw", count: 3)
            #expect(records.map { $0.text("ce_source") } == Array(repeating: "/flotilla/cert:alice", count: 3))
        }
    }

    @Test func whatIsNoCertificateIsToldAtTheStart() async throws {
        let authority = try Authority()
        let (certificate, key) = (try authority.text("localhost.pem"), try authority.text("alice.key"))
        await #expect(throws: HTTPFault.self) {
            try await EdgeSite.with({ $0.http.tls = HTTPConfiguration.TLS(certificate: certificate, key: key) }) { _ in
            }
        }
    }
}
