import Platform
import TestSupport
import Testing

@Suite struct DigestTests {
    @Test func knownAnswers() {
        let ofNothing = unsafe Digest.sha256([UInt8]().span.bytes).hex()
        #expect(ofNothing == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        let ofLetters = unsafe Digest.sha256(Array("abc".utf8).span.bytes).hex()
        #expect(ofLetters == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let digest = Digest(.sha1)
        for _ in 0..<2 {
            digest.start()
            digest.add(Array("a".utf8))
            digest.add(Array("bc".utf8))
            #expect(digest.finishBytes().hex(first: 20) == "a9993e364706816aba3e25717850c26c9cd0d89d")
        }
    }

    @Test func everyDigitOfAUUIDIsWrittenWhereItBelongs() {
        let value = UUIDValue(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)
        #expect(value.description == "01234567-89ab-cdef-fedc-ba9876543210")
        #expect(UUIDValue(high: 0, low: .max).description == "00000000-0000-0000-ffff-ffffffffffff")
        for digit in UInt64(0)..<16 {
            let text = UUIDValue(high: digit * 0x1111_1111_1111_1111, low: digit * 0x1111_1111_1111_1111).description
            let expected = String(digit, radix: 16)
            #expect(text.filter { $0 != "-" } == String(repeating: expected, count: 32))
        }
    }

    @Test func aCodeOfAKeyIsThatOfTheStandard() {
        // RFC 4231, cases 2 and 6; and a key of nothing.
        func code(_ message: String, _ key: [UInt8]) -> String {
            HMAC.sha256(Array(message.utf8), key: key).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        #expect(
            code("what do ya want for nothing?", Array("Jefe".utf8))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            code("Test Using Larger Than Block-Size Key - Hash Key First", [UInt8](repeating: 0xaa, count: 131))
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
        #expect(code("", []) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    @Test func bytesComeBackFromBase64AsTheyWere() {
        // RFC 4648, 10.
        let known = ["": "", "f": "Zg==", "fo": "Zm8=", "foo": "Zm9v", "foob": "Zm9vYg==", "foobar": "Zm9vYmFy"]
        for (plain, text) in known { #expect(Base64.encode(Array(plain.utf8)) == text) }
        let all = (0...255).map { UInt8($0) }
        for count in 0...all.count {
            let bytes = Array(all.prefix(count))
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
        for text in ["Z", "Zg=", "Zg==Zg==", "Z===", "Zm9*", "=Zm9"] { #expect(Base64.decode(text) == nil, "\(text)") }
    }

    @Test func aNameAlwaysHasTheSameUUID() {
        // RFC 9562, A.4: www.example.com in the namespace of domain names.
        let domains = UUIDValue(high: 0x6ba7_b810_9dad_11d1, low: 0x80b4_00c0_4fd4_30c8)
        #expect(domains.description == "6ba7b810-9dad-11d1-80b4-00c04fd430c8")
        #expect(
            UUIDValue.version5(in: domains, Array("www.example.com".utf8)).description
                == "2ed6657d-e927-568b-95e1-2665a8aea6a2")
    }

    @Test func laterOnesSortAfterEarlierOnes() {
        let texts = (0..<100).map { UUIDValue.version7(at: 1_700_000_000_000 + Int64($0)).description }
        #expect(texts == texts.sorted())
        #expect(Set(texts).count == 100)
        #expect(texts.allSatisfy { $0.dropFirst(14).first == "7" && "89ab".contains($0.dropFirst(19).first ?? "x") })
    }
}

@Suite struct TimestampParsingTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-05-04T03:02:01.5Z", 1_777_863_721_500),
        ("2026-05-04T05:02:01.500+02:00", 1_777_863_721_500), ("2000-02-29T23:59:59.9999Z", 951_868_799_999),
        ("1969-12-31T23:59:59.999Z", -1), ("2024-12-31t23:59:60z", 1_735_689_599_000),
    ])
    func datesAreRead(_ text: String, _ expected: Int64) {
        #expect(Timestamp(text: text)?.milliseconds == expected)
    }

    @Test(arguments: [
        "", "2026", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00", "2026-01-01",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00Zx", "-001-01-01T00:00:00Z",
    ])
    func nonsenseIsRefused(_ text: String) {
        #expect(Timestamp(text: text) == nil)
    }

    @Test(arguments: TestDice.seeds(3)) func whatIsPrintedIsReadAgain(seed: UInt64) {
        var dice = TestDice(seed: seed)
        for _ in 0..<5000 {
            // Years 0000 to 9999: those that the format has.
            let time = Timestamp(
                milliseconds: Int64.random(in: -62_167_219_200_000...253_402_300_799_999, using: &dice))
            #expect(Timestamp(text: time.description) == time, "seed \(seed)")
        }
    }

    @Test func noDamageTraps() {
        let whole = Array("2026-05-04T05:02:01.500+02:00".utf8)
        for index in whole.indices {
            for byte in [UInt8(0), 47, 58, 255, 45, 84] {
                var damaged = whole
                damaged[index] = byte
                _ = Timestamp(utf8: damaged.span)
            }
            _ = Timestamp(utf8: Array(whole[..<index]).span)
        }
    }
}
