import Testing
import Transfers

@Suite struct AddressTests {
    @Test(arguments: [
        "0.0.0.0", "10.1.2.3", "127.0.0.1", "127.255.255.255", "100.64.0.1", "169.254.169.254", "172.16.0.1",
        "172.31.255.255", "192.168.1.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::", "2001:db8::1",
        "2001::1", "::127.0.0.1", "3fff::1",
    ])
    func whatANetworkOfOurOwnHasIsNotPublic(_ text: String) throws {
        #expect(try !#require(NetworkAddress(text: text)).isPublic)
    }

    @Test(arguments: [
        "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "169.253.1.1", "172.15.0.1", "172.32.0.1", "192.169.0.1",
        "198.17.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
        "2002:808:808::",
    ])
    func whatTheInternetHasIs(_ text: String) throws {
        #expect(try #require(NetworkAddress(text: text)).isPublic)
    }

    @Test func whatIsNoAddressIsNone() {
        for text in ["", "localhost", "1.2.3", "1.2.3.4.5", "::g", "0x7f.1"] {
            #expect(NetworkAddress(text: text) == nil)
        }
        #expect(NetworkAddress(bytes: [1, 2, 3]) == nil)
    }

    @Test(arguments: [
        ("", "names no host"), ("hooks.example.com", "no URL"), ("ftp://example.com/", "https://"),
        ("file:///etc/passwd", "https://"), ("https://user:pass@example.com/", "password"),
        ("https://example.com/#a", "#"), ("https://exa mple.com", "no URL"), ("https://exämple.com", "no URL"),
        ("https://a\r\nb", "no URL"), ("https://", ""), ("gopher://x", "https://"),
    ])
    func whatIsNoWebAddressIsRefused(_ text: String, _ reason: String) {
        let fault = #expect(throws: AddressFault.self) { try WebAddress(text) }
        if !text.isEmpty { #expect("\(fault.map { "\($0)" } ?? "")".contains(reason), "\(text)") }
    }

    @Test func aWebAddressShowsItsHostAlone() throws {
        let address = try WebAddress("https://hooks.example.com/services/T0/B0/secret?token=x")
        #expect("\(address)" == "hooks.example.com")
    }

    @Test func aMailServerKeepsItsPasswordToItself() throws {
        let server = try MailServer("smtp://ada%40example.com:p%40ss@mail.example.com:587")
        #expect("\(server)" == "mail.example.com")
        let plain = try MailServer("smtp://127.0.0.1:25?tls=no")
        #expect("\(plain)" == "127.0.0.1")
    }

    @Test(arguments: [
        "http://mail.example.com", "smtp://user@mail.example.com", "smtp://u:p@mail.example.com?tls=no",
        "smtps://mail.example.com?tls=no", "smtp://mail.example.com?starttls=never", "smtp://mail.example.com/helo",
        "smtp://u:p%0d%0aX@mail.example.com", "mail.example.com:25",
    ])
    func whatIsNoMailServerIsRefused(_ text: String) {
        #expect(throws: AddressFault.self) { try MailServer(text) }
    }

    @Test(arguments: [
        "", "@", "a@", "@b", "a b@c", "a@b\r\nRCPT TO:<x@y>", "a@b c", "a@b@c", ".a@b", "a.@b", "a..b@c", "a@.b",
        "a@b..c",
        "a@-b", "<a@b>", "a,b@c", "ä@b", "a@ü.de", "\"a b\"@c", "a@b>", "a@[127.0.0.1]",
    ])
    func whatIsNoMailAddressIsRefused(_ text: String) { #expect(MailAddress(text) == nil) }

    @Test func mailAddressesMayBeAsTheyMostlyAre() {
        for text in ["a@b", "ada.lovelace+alerts@mail.example.com", "o'neil@x-y.co"] {
            #expect(MailAddress(text)?.text == text)
        }
    }
}
