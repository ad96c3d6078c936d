package import Platform
internal import Transfers

/// What the environment tells the sender: how webhooks are signed, and which server takes mails. Nothing here is printed.
package struct NotifySecrets: Sendable {
    var signing: [WebhookSecret] = []
    var mailServer: MailServer?
    /// A file of certificates to believe, instead of the machine's.
    var authorities: String?

    package init() {}

    /// Reads what these rules need, and notes what is missing or wrong.
    package init(_ settings: inout Settings, for rules: Rules) {
        if let text = settings.text("FLOTILLA_WEBHOOK_SECRET") {
            // Several while one replaces another: receivers go by any of them.
            for part in text.split(separator: " ") {
                if let secret = WebhookSecret(String(part)) {
                    signing.append(secret)
                } else {
                    settings.refuse(
                        "FLOTILLA_WEBHOOK_SECRET",
                        "is no secret: whsec_ and 24 to 64 bytes in base64; several have a space in between")
                }
            }
        } else if rules.hasWebhooks {
            settings.refuse(
                "FLOTILLA_WEBHOOK_SECRET",
                "is not set, and rules.yaml has webhooks, which are signed: whsec_ and 24 to 64 bytes in base64, as "
                    + "`echo whsec_$(openssl rand -base64 32)` makes one")
        }
        if let text = settings.text("SMTP_URL") {
            do throws(AddressFault) { mailServer = try MailServer(text) } catch {
                settings.refuse("SMTP_URL", "\(error)")
            }
        } else if rules.hasMails {
            settings.refuse(
                "SMTP_URL", "is not set, and rules.yaml has mails: smtp://USER:PASSWORD@HOST:587, or smtps://")
        }
        authorities = settings.text("SSL_CERT_FILE")
    }
}
