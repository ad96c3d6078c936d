import Platform
import Testing
import Transfers

@testable import Notify

/// What goes over the wire: signatures and mails.
@Suite struct WireTests {
    /// The example of the Standard Webhooks specification's own libraries.
    @Test func aSignatureIsWhatReceiversExpect() throws {
        let secret = try #require(WebhookSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
        let signature = secret.signature(
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330, body: Array(#"{"test": 2432232314}"#.utf8))
        #expect(signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test(arguments: [
        "", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_short", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
        "whsec_****9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ])
    func whatIsNoSecretIsRefused(_ text: String) { #expect(WebhookSecret(text) == nil) }

    @Test func secretsAreNotPrinted() throws {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        let secret = try #require(WebhookSecret(text))
        #expect(!"\(secret)\(String(reflecting: secret))".contains("MfKQ"))
        var secrets = NotifySecrets()
        secrets.signing = [secret]
        var dumped = ""
        dump(secrets, to: &dumped)
        #expect(!dumped.contains("MfKQ"))
        var settings = Settings(["FLOTILLA_WEBHOOK_SECRET": "hunter2", "SMTP_URL": "smtp://ada:hunter3@"])
        _ = NotifySecrets(&settings, for: Rules())
        #expect(settings.faults.count == 2)
        #expect(!"\(settings.faults)".contains("hunter"))
    }

    @Test func severalSecretsMayBeGivenAndMissingOnesAreTold() {
        let one = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        var settings = Settings(["FLOTILLA_WEBHOOK_SECRET": "\(one) \(one)"])
        #expect(NotifySecrets(&settings, for: Rules()).signing.count == 2)
        #expect(settings.faults.isEmpty)
    }

    private func mail(_ subject: String, _ text: String = "x") throws -> String {
        let (from, to) = (try #require(MailAddress("fleet@example.com")), try #require(MailAddress("ada@example.com")))
        let bytes = MailMessage.bytes(
            from: from, to: to, id: "7", subject: subject, text: text, at: Timestamp(milliseconds: 1_777_896_000_000))
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func aMailIsWhatServersExpect() throws {
        let text = try mail("hello", "Grüße\r\n.\r\nMAIL FROM")
        #expect(
            text.hasPrefix(
                "From: <fleet@example.com>\r\nTo: <ada@example.com>\r\nSubject: hello\r\nDate: Mon, 04 May 2026 12:00:00 +0000\r\n"
            ))
        #expect(text.contains("\r\nMessage-ID: <7@example.com>\r\n"))
        let body = try #require(text.split(separator: "\r\n\r\n").last).filter { !$0.isNewline }
        #expect(Base64.decode(String(body)) == Array("Grüße\r\n.\r\nMAIL FROM".utf8))
    }

    @Test(arguments: [
        "a\r\nBcc: eve@example.com", "a\nBcc: eve", "a\u{0}b", " leading", "=?utf-8?Q?=0D=0ABcc:?=", "ü",
        "שלום\u{202e}",
        String(repeating: "long ", count: 100), String(repeating: "🚢", count: 60),
    ])
    func noSubjectBeginsAHeader(_ subject: String) throws {
        let text = try mail(Notification.line(subject))
        let headers = try #require(text.split(separator: "\r\n\r\n").first).split(separator: "\r\n")
        #expect(!headers.contains { $0.hasPrefix("Bcc") })
        #expect(headers.allSatisfy { $0.utf8.count <= 78 && $0.utf8.allSatisfy { (0x20...0x7e).contains($0) } })
        #expect(headers.count { !$0.hasPrefix(" ") } == 10)
    }

    @Test func datesAreThoseOfTheCalendar() {
        #expect(MailMessage.date(Timestamp(milliseconds: 0)) == "Thu, 01 Jan 1970 00:00:00 +0000")
        #expect(MailMessage.date(Timestamp(milliseconds: 1_709_164_799_000)) == "Wed, 28 Feb 2024 23:59:59 +0000")
    }
}
