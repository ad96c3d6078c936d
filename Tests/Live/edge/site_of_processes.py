"""A broker and an edge as processes, for the tests of the edge."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from outside import ROOT
from ports import free_port, listens
from processes import launch, until

FLOTILLA = ROOT / "bin" / "flotilla"
PAGE = (ROOT / "docs" / "http.md").read_text()


class Site:
    """A broker and an edge, each a process of its own, with the topics of the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker_port, self.port = free_port(), free_port()
        (folder / "topics").mkdir()
        for name, text in re.findall(r"<!-- file: (\S+) -->\n```yaml\n(.*?)```", PAGE, re.S):
            (folder / name).write_text(text)
        self.environment = os.environ | {"KAFKA_BROKERS": f"127.0.0.1:{self.broker_port}", "LOG_FORMAT": "text"}
        self.environment["FLOTILLA_EDGE_URL"] = f"http://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.broker = self.start_broker()
        assert self.run(FLOTILLA, "topics", "apply").returncode == 0

    def start_broker(self) -> subprocess.Popen[bytes]:
        listen = f"127.0.0.1:{self.broker_port}"
        process = self.start("broker", "--data", self.folder / "broker", "--listen", listen)
        until(lambda: listens(("127.0.0.1", self.broker_port)), "the broker")
        return process

    def start_edge(self, **settings: str) -> subprocess.Popen[bytes]:
        process = self.start("edge", "--http", self.port, "--admin", 0, **settings)
        until(lambda: listens(("127.0.0.1", self.port)), "the edge")
        return process

    def start(self, *arguments: object, **settings: str) -> subprocess.Popen[bytes]:
        process = launch([FLOTILLA, *arguments], cwd=self.folder, env=self.environment | settings)
        self.processes.append(process)
        return process

    def run(self, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*map(str, arguments)], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60,
            **options)

    def tail(self) -> list[dict]:
        return [json.loads(line) for line in self.run(FLOTILLA, "tail", "events.raw", "--json").stdout.splitlines()]

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
