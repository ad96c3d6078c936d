"""The whole fleet under `flotilla up`, all that it keeps on one small disk, where this user may make one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from checks import KEPT_VALUES
from fleet import write_topics
from stacks import Stack, alive, until

HANDLERS = ["ingest", "process", "aggregate", "notify", "deadletters"]
# What Flotilla has not written.
SERVERS = {"redis", "postgres"}


class Site(Stack):
    """Its logs are not on the disk that is filled: what goes wrong there has to be told of."""

    def __init__(self, folder: Path, disk: Path, rules: str, secret: str) -> None:
        super().__init__(disk)
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.data.mkdir()
        (self.data / "logs").symlink_to(self.logs)
        topics = folder / "topics"
        write_topics(topics, {"values": str(KEPT_VALUES), "lateness": "1s", "idleAfter": "2s"}, rules)
        self.environment |= {
            "FLOTILLA_TOPICS": str(topics), "FLOTILLA_WEBHOOK_SECRET": secret, "LOG_FORMAT": "json",
            "LOG_LEVEL": "info",
        }
        self.address = ("127.0.0.1", int(self.ports[1]))

    @property
    def broker(self) -> str:
        """It comes back to where it was."""
        return f"127.0.0.1:{self.ports[5]}"

    def look(self) -> dict:
        """Where everything runs; empty while nobody says."""
        try:
            return self.file
        except (OSError, ValueError):
            return {}

    def pids(self) -> dict[str, int]:
        found = self.look()
        return {process["name"]: process["pid"] for process in found.get("processes", [])} | (
            {"up": found["pid"]} if found else {})

    def workers_of(self, handler: str) -> list[str]:
        return sorted(name for name in self.pids() if name.rsplit("-", 1)[0] == handler)

    def answer(self, *words: object) -> list[dict] | None:
        """What a command has to say; None while it cannot."""
        try:
            told = self.run(*words, "--json", timeout=60)
        except subprocess.TimeoutExpired:
            return None
        if told.returncode != 0:
            return None
        return [json.loads(line) for line in told.stdout.splitlines()]

    def said(self) -> str:
        files = sorted(self.logs.iterdir())
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-600:]}" for path in files)

    def lose_supervisor(self) -> None:
        """As a power cut would; what it started ends with it, and it is started again."""
        pids = self.pids()
        os.kill(pids["up"], signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in pids.values()), "the end of all that the supervisor had started")
        self.up()


__all__ = ["HANDLERS", "SERVERS", "Site", "alive", "until"]
