/// Tokens that OpenSSL has signed with keys that nobody has any more: iss https://id.example, aud flotilla and other,
/// sub shop, nbf 1000000000, exp 2000000000, unless their names say otherwise.
enum SignedTokens {
    static let jwks =
        #"{"keys":[{"kty":"RSA","kid":"r1","use":"sig","n":"1s9y9118ONp1N2EbKULzo4Wvjh1hdTh6nebTpEFlFiTEhqOJT8"#
        + #"Fp2JLbaetWHWcqwQHNH9mMvIOl_as2A4MhMasKnN9pm_bv7XuqJ_NpVjbMD21WFxlWN5xCY0JIYSHBLFXXxoUqz0lBMVQMqrPCgP"#
        + #"SfgCx9nHdodUWEeQF8ZuyyMKv8nbdxswTDAEGeK8YApZndD9ukWIy-Syj_ECO3XOn3v4H3fqAmmt0_ReZeRojM-nIACb-B2xbhYR"#
        + #"gYO6_TQQ0kE8Xn9pq_tAGjdkmIW78GOD47uMJqlY-XQJVzOaeLHxrwhjUcLoKy1jfNZfwPAi3bs9W6TBw6cbxz-fAO9Q","e":"A"#
        + #"QAB"},{"kty":"EC","kid":"e1","crv":"P-256","x":"KKTFaiHXAt6PMxCHl27KwLdBbxdRdjQohOeeW9Gyts0","y":"Ra"#
        + #"qAehp1u605zcRNZvi4FyMk1sDXmTe1G275w-qvWJc"}]}"#
    static let rs256 =
        #"eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInIxIn0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6IFsiZmxvdGls"#
        + #"bGEiLCAib3RoZXIiXSwgInN1YiI6ICJzaG9wIiwgImV4cCI6IDIwMDAwMDAwMDAsICJuYmYiOiAxMDAwMDAwMDAwfQ.aPg907808"#
        + #"IxI_afx5cjNmKh5ZoFULns6J6aHs1jXKPwlQ2Nty-63vMdrIj4wWnQaaVgemQILHBr-YAwOyiC1RlmdLwPsoaHLe0JJ9LHevqXvg"#
        + #"dqjnahxn9OUOHLqusfXr_8wZ1nR9P0SbSakb7DYdqXia4vuQOePkKYKUxZvm89Om0XZj0L6ZF3RhtszB2Tr6NBXtASVIko1newAH"#
        + #"C_c39js3kBNz-t6iBMfaOk_DFqK7um7OoMJcGrdXe6BXOr22Qs5DrO5RpMzwFp2OsFDCeNkJccgFr6S_V1uY9lqzw-INmafY422m"#
        + #"fgMfJhALFS2zKudfSKs9EQ0LxuTVsL10w"#
    static let es256 =
        #"eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImUxIn0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6IFsiZmxvdGls"#
        + #"bGEiLCAib3RoZXIiXSwgInN1YiI6ICJzaG9wIiwgImV4cCI6IDIwMDAwMDAwMDAsICJuYmYiOiAxMDAwMDAwMDAwfQ.ubCFBuK9P"#
        + #"uqr4WdRZxmtcDdm71PBw40S578qe1bA-pQXpLQRO-ZlSoXxdrb-ZbggI-17nuLvrBHpVltscnyMgg"#
    static let none =
        #"eyJhbGciOiJub25lIiwia2lkIjoicjEifQ.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6IFsiZmxvdGlsbGEiL"#
        + #"CAib3RoZXIiXSwgInN1YiI6ICJzaG9wIiwgImV4cCI6IDIwMDAwMDAwMDAsICJuYmYiOiAxMDAwMDAwMDAwfQ."#
    static let confused =
        #"eyJhbGciOiJIUzI1NiIsImtpZCI6InIxIn0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6IFsiZmxvdGlsbGEi"#
        + #"LCAib3RoZXIiXSwgInN1YiI6ICJzaG9wIiwgImV4cCI6IDIwMDAwMDAwMDAsICJuYmYiOiAxMDAwMDAwMDAwfQ.eZoGvUCwWOqL5"#
        + #"oL8CEEK7fCR-b9Fgi5WXViuxrYjGzM"#
    static let keyOfAnother =
        #"eyJhbGciOiAiUlMyNTYiLCAia2lkIjogImUxIn0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6IFsiZmxvdGls"#
        + #"bGEiLCAib3RoZXIiXSwgInN1YiI6ICJzaG9wIiwgImV4cCI6IDIwMDAwMDAwMDAsICJuYmYiOiAxMDAwMDAwMDAwfQ.DSShQaZb2"#
        + #"l_o3XC1fC4yWcPRYWwTIlGVU6W--bbsxrEZ5NbGk2QVGi7JSayAQi3i5MSimYAdemMVzW9qMGMsoZzQOg1T_56G-OOGHOyA9Ncu6"#
        + #"eB8kGhU_kLCGiY-GO5NP-lRdwPLKenAD41Voobt8dvNRdf3RQvJ5_UaElEAwujAAABX9YnzfLMAlK-Xa9QScf_A7ZqTv-SxsMGta"#
        + #"sfsWXDjfOANdwPCz85CQnIGegTsKnp6zIjEtpXjWhb0XRK8MMSpMEu74600wf7elxrXFi3Fl0TqOmqT4JtmSMFtkJqyAMZEf_ihZ"#
        + #"y6Pcbc2x2VHlMIUIG0jG7FeR5v1KmlZnQ"#
    static let unknownKey =
        #"eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInp6In0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6IFsiZmxvdGls"#
        + #"bGEiLCAib3RoZXIiXSwgInN1YiI6ICJzaG9wIiwgImV4cCI6IDIwMDAwMDAwMDAsICJuYmYiOiAxMDAwMDAwMDAwfQ.1cslIFv-g"#
        + #"JMQdCR88FLcgNLwFkm_OSN3JKUhWKxuvxf1BfYjK02dti-n_8iPfdyKDgeel82liJ7Sqy-bHdvL_ms9EcS7vqQGcG8vZ_NK6kjsR"#
        + #"L9kVyq3xt11dGf6zYUHc91Hgj66-wNoIs7RFXHy5t0t_YmJEO6X2vWun9FwJgsigFNxLNxUzrymOARGxx-yMdXQeJIKNm1CL9eBc"#
        + #"3C_um5vvXb8cqpRMMvBKmnaCE3Sgohbzy3CeSiPPaBjDU1NO3F3UPO3KBmLABlhHWX4GHSdvdCLOvt_V6g7Df-wW2VgO09HU--2M"#
        + #"bOJXEGVvrZYpQK61c3Az3pCTwM0xCUgDQ"#
    static let oddName =
        #"eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInIxIn0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6IFsiZmxvdGls"#
        + #"bGEiLCAib3RoZXIiXSwgInN1YiI6ICJhL2IgYyIsICJleHAiOiAyMDAwMDAwMDAwLCAibmJmIjogMTAwMDAwMDAwMH0.eiGafQV7"#
        + #"enZSaSUGhcksvj0MGjFYwQ0pIQZdNiE50QhYNM-UzZpIIuuoIt3qdUApoM8e2_6NqTEcRBplyA7lQkzkDLTaHh81a5SBXScwFjzF"#
        + #"Ts0gi8FoRZ63kv6O-m1J43GhhCgM765OfcW0epYhtJEpNY594Sv8qwbL3BhCVxDr6vmX0_-OBzRbyWVv8LAF5IO3S34Qh5nB68Lt"#
        + #"EH4WayaJssVF7r3mDnCPiKyXJWoBc6gLd0i-g8Bc_32lvFdJkteJxTj-h_pJJg0BJbO_hp3G2EiledYNgaBlZPVDB7ET_2yLq7N-"#
        + #"__9KXxpDIQtY1CMJQE45WogmYYJj3y555Q"#
    static let endless =
        #"eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInIxIn0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6IFsiZmxvdGls"#
        + #"bGEiLCAib3RoZXIiXSwgInN1YiI6ICJzaG9wIiwgIm5iZiI6IDEwMDAwMDAwMDB9.Yb2QJqppxmFkg_cpX1vKH_O9OMhb-nYDJ8q"#
        + #"kWTDT7LkiQS33956hi1eL5zON6OJ5l4fiDI4DheUKjug6A45DKU9sdzp5lb1cwMbzKYlNSSYIfyLOOuv3PHDQaGPat9Ta32LmLx3"#
        + #"rewVse8FVAtoufZCn6nO-H2blvQaLC80wXpRK8BtemgNMR-n5GF79GTTsPDMOgj6b7fzj1B5q6DEUbncYC6dN-5DaLxQIdvyzMW5"#
        + #"F12aMDo6BbtgLVRE-e-MXD6m5dXnemsMs2b9XySBgS2VNZrB6syeSG3YKrHosqITPwrLDbQdrSwNVanhJEgmwx1IBFgdbqiWmDqQ"#
        + #"R2FRY3w"#
    static let critical =
        #"eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInIxIiwgImNyaXQiOiBbIngiXX0.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwg"#
        + #"ImF1ZCI6IFsiZmxvdGlsbGEiLCAib3RoZXIiXSwgInN1YiI6ICJzaG9wIiwgImV4cCI6IDIwMDAwMDAwMDAsICJuYmYiOiAxMDAw"#
        + #"MDAwMDAwfQ.BddWSG307-oGbFqpds2ufF-MlKTyDGqJLr_TyhHBslImdYINOw0RGfkVW0_Yl3i7gOZClb3tEa1t1yGjCKilTSBID"#
        + #"ud35KGXkVUaCncwTWVjALilH1sAfISnfq2qwol9JPYToDg2qorlPiJRzA5hzzORkTtDZHyKDM5xsA8dFd56uDUwVwfANBANhkExm"#
        + #"tEyMIdkCTg9E0gfCSjh-1ZxHH00TthjKAkqvcT0PNv0_lYfjN8lWbAd7mhs5DFg00_eiygio859lTO9AbPL0Cwe22k9UPgxAyjj8"#
        + #"SgNlUxUBlSkxz5I7oRlve2cZal3zTbvQsnCSkvQBDfN0bRvBD5ShA"#
}
