internal import HTTP

/// The page's files, built into the program.
enum Page {
    static func file(_ path: String) -> HTTPResponse? {
        guard let (type, bytes) = files[path] else { return nil }
        return HTTPResponse(200, type, bytes)
    }

    static let paths = [
        "/", "/api.js", "/app.css", "/app.js", "/chart.js", "/dom.js", "/fleet.js", "/letters.js", "/query.js",
        "/replays.js", "/topics.js", "/icon.svg",
    ]

    private static let script = "text/javascript; charset=utf-8"
    private static let files: [String: (type: String, bytes: [UInt8])] = [
        "/": ("text/html; charset=utf-8", PackageResources.index_html),
        "/app.css": ("text/css; charset=utf-8", PackageResources.app_css),
        "/icon.svg": ("image/svg+xml", PackageResources.icon_svg),
        "/api.js": (script, PackageResources.api_js), "/app.js": (script, PackageResources.app_js),
        "/chart.js": (script, PackageResources.chart_js),
        "/dom.js": (script, PackageResources.dom_js), "/fleet.js": (script, PackageResources.fleet_js),
        "/letters.js": (script, PackageResources.letters_js), "/query.js": (script, PackageResources.query_js),
        "/replays.js": (script, PackageResources.replays_js), "/topics.js": (script, PackageResources.topics_js),
    ]

    /// Nothing but what is served here, no text that becomes code, nobody around it.
    static let securityHeaders = [
        HTTPRequest.Field(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
                + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
                + "trusted-types 'none'"),
        HTTPRequest.Field("X-Content-Type-Options", "nosniff"), HTTPRequest.Field("X-Frame-Options", "DENY"),
        HTTPRequest.Field("Referrer-Policy", "no-referrer"), HTTPRequest.Field("Cache-Control", "no-store"),
        HTTPRequest.Field("Cross-Origin-Resource-Policy", "same-origin"),
        HTTPRequest.Field("Cross-Origin-Opener-Policy", "same-origin"),
    ]
}
