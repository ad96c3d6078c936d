"""What is looked at while the load runs: memory and open files of each process by its number, and how far behind handlers are."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from site_of_soak import SERVERS, Site

# The first seconds of a process are not judged: it takes what it needs then. What the first replay needs comes with it.
WARM = 30
# One that lived for less than this beyond them is not judged.
LIVED = 30
REPLAYS = "deadletters-1"
# Between the first third of what is judged and the last, memory may grow by a tenth and 8 MiB, and files by 8.
MORE_MEMORY, MORE_BYTES, MORE_FILES = 0.10, 8 << 20, 8
RULE = (
    f"a process of Flotilla's is judged from {WARM} s after its start, that of the dead letters from as long after its first "
    f"replay, if there are {LIVED} s from then on: the median of the last third may be above that of the first by "
    f"{MORE_MEMORY:.0%} and {MORE_BYTES >> 20} MiB of memory, and {MORE_FILES} open files"
)


@dataclass
class Life:
    """One process, by its number."""

    name: str
    pid: int
    times: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    # When it did what it did not do before: that of the dead letters, its first replay.
    first_use: float | None = None

    @property
    def judged_from(self) -> float:
        return (self.times[0] if self.first_use is None else self.first_use) + WARM

    @property
    def is_judged(self) -> bool:
        return self.name not in SERVERS and self.times[-1] - self.judged_from >= LIVED

    def growth(self) -> tuple[float, float, float, float]:
        """The medians of the first third and the last: of memory, and of files."""
        kept = [place for place, moment in enumerate(self.times) if moment >= self.judged_from]
        third = max(1, len(kept) // 3)
        first, last = kept[:third], kept[-third:]
        return (
            statistics.median(self.memory[place] for place in first), statistics.median(self.memory[place] for place in last),
            statistics.median(self.files[place] for place in first), statistics.median(self.files[place] for place in last),
        )

    def fault(self) -> str | None:
        before, after, opened, left = self.growth()
        if after > before * (1 + MORE_MEMORY) + MORE_BYTES:
            return f"{self.name} (process {self.pid}) grew from {before / (1 << 20):.1f} to {after / (1 << 20):.1f} MiB"
        if left > opened + MORE_FILES:
            return f"{self.name} (process {self.pid}) had {opened:.0f} files open, and {left:.0f} later"
        return None


class Samples:
    """Each second the processes; each few seconds what `flotilla status` says."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lives: dict[tuple[str, int], Life] = {}
        # By handler: when, how many records behind, by how many seconds.
        self.lags: dict[str, list[tuple[float, int, float]]] = {}
        self.is_over = threading.Event()
        self.threads: list[threading.Thread] = []

    def start(self, began: float) -> None:
        self.began = began
        for look, pause in ((self.look_at_processes, 1), (self.look_at_lag, 3)):
            thread = threading.Thread(target=self.repeat, args=(look, pause), daemon=True)
            self.threads.append(thread)
            thread.start()

    def repeat(self, look: Callable[[], None], pause: float) -> None:
        while not self.is_over.wait(pause):
            look()

    def look_at_processes(self) -> None:
        now = time.monotonic() - self.began
        for name, pid in self.site.pids().items():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
                files = len(os.listdir(f"/proc/{pid}/fd"))
            except (FileNotFoundError, ProcessLookupError):
                continue
            resident = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
            if not resident:
                # It has ended, and nobody has taken note of that yet.
                continue
            life = self.lives.setdefault((name, pid), Life(name, pid))
            life.times.append(now)
            life.memory.append(int(resident[0]) * 1024)
            life.files.append(files)

    def look_at_lag(self) -> None:
        told = self.site.answer("status")
        now = time.monotonic() - self.began
        for handler in told[0]["handlers"] if told else []:
            if handler.get("lag") is not None:
                row = (now, handler["lag"], handler.get("lag_seconds") or 0)
                self.lags.setdefault(handler["handler"], []).append(row)

    def note_replay(self, moment: float) -> None:
        """Some were replayed then."""
        for life in self.lives.values():
            if life.name == REPLAYS and life.first_use is None and life.times[0] <= moment <= life.times[-1]:
                life.first_use = moment

    @property
    def judged(self) -> list[Life]:
        return [life for life in self.lives.values() if life.is_judged]

    def lag(self) -> int | None:
        """How far behind all handlers were together at the last look."""
        return sum(rows[-1][1] for rows in self.lags.values()) if self.lags else None

    def end(self) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join(180)
