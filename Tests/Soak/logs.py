"""What the processes of a stack have said: its lines of level `error`, and how they ended."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from outside import ROOT
from site_of_soak import SERVERS

# What says that a process has met something that it was not made for.
CRASHES = re.compile(r"Fatal error|Swift runtime failure|Thread \d+ crashed|AddressSanitizer|double free|SIGSEGV")

# What the supervisor tells beside that: of scaling, of topics, of its own end, and of a disk that is full.
SUPERVISOR = re.compile(
    r"\w+: \d+ → \d+ workers?|\d+ topics made or changed|stopping: .*|write \S+: No space left on device: .*")


@dataclass
class Line:
    """What was said after the time that the stack put in front."""

    time: str
    name: str
    text: str

    @property
    def moment(self) -> float:
        """By the clock on the wall."""
        return datetime.fromisoformat(self.time).timestamp()

    @property
    def fields(self) -> dict | None:
        """Of one that Flotilla's log has written."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return None
        return found if isinstance(found, dict) and "level" in found else None


def lines(folder: Path) -> Iterator[Line]:
    for path in sorted(folder.iterdir()):
        name = path.name.split(".log")[0]
        for text in path.read_text(errors="replace").splitlines():
            time, _, rest = text.partition(" ")
            yield Line(time, name, rest)


@dataclass
class Said:
    """By message: how often, who, and one of them."""

    count: int
    names: set[str]
    sample: str


class Logs:
    def __init__(self, folder: Path) -> None:
        self.errors: dict[str, Said] = {}
        self.warnings: dict[str, Said] = {}
        # Lines that are neither the log's nor a server's.
        self.strange: list[Line] = []
        self.crashes: list[Line] = []
        # What the supervisor told of processes that ended.
        self.ends: list[Line] = []
        for line in lines(folder):
            self.take(line)

    def take(self, line: Line) -> None:
        if line.name == "flotilla":
            if "it is started again" in line.text:
                self.ends.append(line)
            elif not SUPERVISOR.fullmatch(line.text):
                self.strange.append(line)
            return
        if line.name in SERVERS or line.name.startswith("postgres"):
            return
        fields = line.fields
        if fields is None:
            (self.crashes if CRASHES.search(line.text) else self.strange).append(line)
            return
        found = {"error": self.errors, "warning": self.warnings}.get(fields["level"])
        if found is not None:
            said = found.setdefault(fields["message"], Said(0, set(), line.text))
            # Of lines that come again and again some are left out, and counted.
            said.count += 1 + int(fields.get("leftOut", 0))
            said.names.add(line.name)

    def unexplained(self) -> dict[str, Said]:
        """Errors that the docs do not have, as they stand, where they explain such lines."""
        docs = (ROOT / "docs" / "observability.md").read_text()
        explained = re.findall(r"^#+ Lines of level `error`$(.*?)^#+ ", docs, re.MULTILINE | re.DOTALL)[0]
        return {message: said for message, said in self.errors.items() if f"`{message}`" not in explained}
