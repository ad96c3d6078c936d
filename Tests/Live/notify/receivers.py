"""Who notifications are for, on real sockets: a webhook receiver that checks signatures as any receiver would, and a mail
server that wants STARTTLS and a password."""

from __future__ import annotations

import email
import email.policy
import http.server
import json
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from standardwebhooks.webhooks import Webhook

from processes import free_port


class Hooks:
    """Answers webhooks by their path, and keeps what came: under its id, verified."""

    def __init__(self, secret: str, answer: Callable[[str, int, http.server.BaseHTTPRequestHandler], int | None]) -> None:
        self.webhook = Webhook(secret)
        self.lock = threading.Lock()
        # By path: the id and body of each request, in the order in which they came.
        self.seen: dict[str, list[tuple[str, bytes]]] = {}
        # By path: the ids of those that were answered 2xx.
        self.accepted: dict[str, set[str]] = {}
        self.faults: list[str] = []
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with hooks.lock:
                    try:
                        hooks.webhook.verify(body, dict(self.headers.items()))
                    except Exception as fault:
                        hooks.faults.append(f"{self.path}: {fault!r}")
                    found = hooks.seen.setdefault(self.path, [])
                    found.append((self.headers["webhook-id"], body))
                    count = len(found)
                status = answer(self.path, count, self)
                if status is None:
                    self.close_connection = True
                    return
                if 200 <= status < 300:
                    with hooks.lock:
                        hooks.accepted.setdefault(self.path, set()).add(self.headers["webhook-id"])
                self.send_response(status)
                if status == 302:
                    self.send_header("location", f"http://127.0.0.1:{hooks.port}/inside")
                if status == 429:
                    self.send_header("retry-after", "2")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def ids(self, path: str) -> list[str]:
        with self.lock:
            return [number for number, _ in self.seen.get(f"/{path}", [])]

    def bodies(self, path: str) -> dict[str, set[bytes]]:
        found: dict[str, set[bytes]] = {}
        with self.lock:
            for number, body in self.seen.get(f"/{path}", []):
                found.setdefault(number, set()).add(body)
        return found

    def texts(self, path: str) -> list[str]:
        return [json.loads(body)["data"]["text"] for bodies in self.bodies(path).values() for body in bodies]

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Mails:
    """A mail server that takes mails after AUTH alone, and that after STARTTLS, unless it knows none."""

    USER, PASSWORD = "fleet", "open sesame"

    def __init__(self, folder: Path, *, is_secure: bool = True) -> None:
        self.certificate = folder / "mail.pem"
        key = folder / "mail.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost", "-keyout", key, "-out", self.certificate], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.messages: list[tuple[str, list[str], EmailMessage]] = []
        self.refusing: set[str] = set()
        self.logins = 0
        secure = {"tls_context": context, "require_starttls": True} if is_secure else {"auth_require_tls": False}
        self.controller = Controller(
            self, hostname="127.0.0.1", port=free_port(), auth_required=True, authenticator=self.authenticate, **secure)
        self.controller.start()
        self.url = f"smtp://{self.USER}:{self.PASSWORD.replace(' ', '%20')}@localhost:{self.controller.port}"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        self.logins += 1
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        is_right = (data.login, data.password) == (self.USER.encode(), self.PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if address in self.refusing:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.messages.append((envelope.mail_from, envelope.rcpt_tos, message))
        return "250 OK"

    def end(self) -> None:
        self.controller.stop()
