"""A stack of a test's own: `flotilla up` on any free ports, in a folder that goes with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

from outside import ROOT
from ports import free_port
from processes import until

FLOTILLA = Path(os.environ.get("FLOTILLA_BIN", ROOT / "bin" / "flotilla"))
# Any ports.
PORTS = ("--http", "0", "--console", "0", "--broker", "0", "--admin", "0")
# What would have a command look elsewhere.
PLACES = ("KAFKA_BROKERS", "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "DATABASE_URL", "FLOTILLA_EDGE_URL", "FLOTILLA_NAMESPACE")


class Stack:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "s"
        # Its own, to which it comes back.
        self.ports = ("--http", free_port(), "--console", free_port(), "--broker", free_port(), "--admin", free_port())
        self.environment = {name: value for name, value in os.environ.items() if name not in PLACES} | {
            "FLOTILLA_DATA": str(self.data), "FLOTILLA_TOPICS": str(ROOT / "topics")}

    def run(self, *words: object, timeout: float = 180, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FLOTILLA, *map(str, words)], env=self.environment | more, capture_output=True, text=True, timeout=timeout)

    def up(self, *words: object, **more: str) -> str:
        """Starts it in the background and returns what it said; it is ready then."""
        result = self.run("up", "--detach", *self.ports, *words, **more)
        assert result.returncode == 0, result.stdout + result.stderr + self.log()
        assert "ready after" in result.stdout
        return result.stdout

    def down(self) -> None:
        assert self.run("down").returncode == 0
        assert not (self.data / "stack.json").exists()

    def log(self) -> str:
        return self.run("logs", "-n", 100).stdout if (self.data / "version").exists() else ""

    @property
    def file(self) -> dict:
        return json.loads((self.data / "stack.json").read_text())

    @property
    def processes(self) -> dict[str, int]:
        return {process["name"]: process["pid"] for process in self.file["processes"]}

    def kill(self, name: str) -> None:
        """As a power cut would; then waits until another has its place."""
        pid = self.processes[name]
        os.kill(pid, signal.SIGKILL)
        until(lambda: self.processes.get(name, pid) != pid, f"another {name}")

    def workers(self, handler: str) -> int:
        status = json.loads(self.run("status", "--json").stdout)
        return {found["handler"]: found["workers"] for found in status["handlers"]}[handler]

    def post(self, *events: dict) -> int:
        """How many were taken: an answer that does not come counts as none, and the same events are sent again."""
        request = urllib.request.Request(
            self.file["settings"]["FLOTILLA_EDGE_URL"] + "/v1/events", json.dumps(events).encode(),
            {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["accepted"]

    def count(self, campaign: str, metric: str = "clicks") -> int:
        asked = self.run("query", "--step", "1d", "--metric", metric, "--campaign", campaign)
        return sum(json.loads(line)["count"] for line in asked.stdout.splitlines())

    def end(self) -> None:
        if (self.data / "stack.json").exists():
            os.kill(self.file["pid"], signal.SIGKILL)
        elsewhere = self.data / "postgres"
        if elsewhere.is_symlink():
            shutil.rmtree(elsewhere.resolve(), ignore_errors=True)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


__all__ = ["FLOTILLA", "PORTS", "ROOT", "Stack", "alive", "until"]
