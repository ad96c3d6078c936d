"""The README's tour and its section on the broker: each command, run in order as it stands, prints what stands there.

`make up` itself is run, in the background, on ports and in a folder of the test's own. What is of a run (ids, times) is put
aside before it is compared; with TOUR=write the page gets what this run printed.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outside import ROOT
from ports import free_port

PAGE = ROOT / "README.md"
# A command, its further lines, and what it prints.
EXAMPLE = re.compile(r"^    \$ ((?:.*\\\n|.*,\n)*.*)\n((?:\n*    (?!\$ ).*\n)*)", re.M)
ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
PATIENCE = 120


def examples() -> list[tuple[str, str]]:
    text = PAGE.read_text()
    tour = text[text.index("## A tour\n"):text.index("## A worker of your own\n")]
    broker = text[text.index("## The broker\n"):text.index("## The Kafka client\n")]
    # The last of the tour ends it all.
    first, last = (EXAMPLE.findall(part) for part in tour.rsplit("Ctrl-C ends it", 1))
    return [(command, re.sub(r"^    ", "", printed, flags=re.M))
            for command, printed in first + EXAMPLE.findall(broker) + last]


def apart(text: str) -> list[str]:
    for pattern, name in [
        (ID, "ID"), (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"), (r"\bjob [0-9a-f]{8}\b", "JOB"),
        (r"[·▁▂▃▄▅▆▇█]{24}", "TREND"), (r"looked at \d+ records", "looked at all"),
    ]:
        text = re.sub(pattern, name, text)
    # How far a job is when it is first seen is of the run too.
    return [line for line in text.splitlines() if not re.match(r"JOB (waiting|running|finishing)", line)]


def fits(printed: str, shown: str) -> bool:
    """Whether it is what is shown; … stands for any lines."""
    if "…" not in shown.splitlines():
        return apart(printed) == apart(shown)
    pieces = [re.escape("\n".join(apart(piece))) for piece in re.split(r"^…\n", shown, flags=re.M)]
    return re.search(r"[\s\S]*".join(pieces), "\n".join(apart(printed))) is not None


class Terminal:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "s"
        self.ports = {8080: free_port(), 8081: free_port(), 9092: free_port(), 9464: free_port()}
        self.environment = os.environ | {"FLOTILLA_DATA": str(self.data)}

    def run(self, command: str) -> str:
        if command == "make up":
            http, console, broker, admin = self.ports.values()
            command = f"make up UP='--detach --http {http} --console {console} --broker {broker} --admin {admin}'"
        for usual, own in self.ports.items():
            command = re.sub(rf"\b(localhost|127\.0\.0\.1):{usual}\b", rf"\1:{own}", command)
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300)
        printed = done.stdout + (done.stderr if done.returncode != 0 else "")
        for usual, own in self.ports.items():
            printed = printed.replace(f":{own}", f":{usual}")
        return printed.replace(str(self.data), ".flotilla")

    def end(self) -> None:
        self.run("bin/flotilla down")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.end()


def test_the_tour(terminal: Terminal) -> None:
    found = examples()
    assert [command.split()[0] for command, _ in found] == [
        "make", "curl", "bin/flotilla", "bin/flotilla", "curl", "curl", "bin/flotilla", "curl", "bin/flotilla",
        "bin/flotilla", "bin/flotilla", "bin/flotilla", "for", "kcat", "bin/flotilla"]
    ids: dict[str, str] = {}
    printed = ""
    for command, shown in found:
        for old, new in ids.items():
            command = command.replace(old, new)
        # What only looks is repeated until the fleet has done what it shows.
        looks = re.match(r"bin/flotilla (query|tail|dlq groups|trace|status)|kcat .* -C", command)
        end = time.monotonic() + (PATIENCE if looks else 0)
        while not fits(printed := terminal.run(command), shown) and time.monotonic() < end:
            time.sleep(0.1)
        if os.environ.get("TOUR") == "write" and "…" not in shown:
            write(shown, printed)
        else:
            assert fits(printed, shown), f"$ {command}\n{printed}"
        ids |= dict(zip(ID.findall(shown), ID.findall(printed)))


def write(shown: str, printed: str) -> None:
    def indented(text: str) -> str:
        return re.sub(r"^(?=.)", "    ", text.rstrip("\n"), flags=re.M)

    text = PAGE.read_text().replace(indented(shown), indented(printed), 1)
    # Later commands name the ids that earlier ones printed.
    for old, new in zip(ID.findall(shown), ID.findall(printed)):
        text = text.replace(old, new)
    PAGE.write_text(text)
