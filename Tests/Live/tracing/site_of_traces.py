"""A fleet that is traced: the roles, a handler in front of them, who takes its traces, and who its notifications are for."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
import urllib.request
from pathlib import Path

from collector import Collector
from fleet import Fleet
from site_of_letters import WORKER

# In front of the fleet: a client's way in, with a retry topic before the dead letters.
TIPS = """
name: tips
about: what somebody heard
partitions: 3
publish: true
consumers:
  - handler: relay
    retry: {inProcess: 1, tiers: [1s]}
    produces: [events.raw]
"""


class Hooks:
    """Takes webhooks, and keeps their headers."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                hooks.seen.append({name.lower(): value for name, value in self.headers.items()})
                # The first one is not taken.
                self.send_response(500 if len(hooks.seen) == 1 else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/a-secret-path"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Traced(Fleet):
    def __init__(self, folder: Path) -> None:
        self.hooks = Hooks()
        self.collector = Collector().start()
        rules = json.dumps({
            "allowPrivate": True, "channels": [{"name": "ops", "webhook": self.hooks.url}],
            "rules": [{"name": "tips", "event": {"type": "tip.heard"}, "channels": ["ops"], "template": "{{ event_id }}",
                       "coolDown": "0s"}]})
        super().__init__(folder, rules=rules)
        self.broken = folder / "broken"
        (self.topics / "tips.yaml").write_text(TIPS)
        assert self.run("topics", "apply").returncode == 0
        self.environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20sesame",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test", "FAIL_WHILE": str(self.broken),
            "LOG_FORMAT": "json", "FLOTILLA_WEBHOOK_SECRET": "whsec_" + "c2VjcmV0" * 6,
        }
        # Begun without all that.
        self.parts["edge"].end()
        (folder / "edge.log").unlink()
        self.parts["edge"].start()

    def relay(self) -> None:
        self.add("relay", [WORKER, "work", "relay"], lambda: True)

    def lines(self, name: str) -> list[dict]:
        """What a process has logged, each line of it an object."""
        return [json.loads(line) for line in (self.folder / f"{name}.log").read_text().splitlines()]

    def end(self) -> None:
        super().end()
        self.hooks.end()
        self.collector.end()


def post(edge: str, path: str, body: object, **headers: str) -> None:
    request = urllib.request.Request(
        edge + path, json.dumps(body).encode(),
        {"content-type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202
