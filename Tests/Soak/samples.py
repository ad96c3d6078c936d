"""What is looked at while the load runs: memory and open files of each process, and how far behind handlers are."""

from __future__ import annotations

import os
import statistics
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from site_of_soak import SERVERS, Site

# The first seconds of a process are not judged: it takes what it needs then, and for replays with the first of them.
WARM = 30
# One that lived for less than this beyond them is not judged, nor the memory of one that had fewer calm seconds.
LIVED = 30
REPLAYS = "deadletters-1"
# It is calm while no handler is further behind. What is caught up with goes by larger batches, whose memory is kept.
CALM = 1000
# What a process may have at any time; aggregate's remembers windows, up to 24 MiB a partition.
BOUND, REMEMBERED = 192 << 20, 6 * (24 << 20)
# While it is calm memory may grow by a tenth and 8 MiB; files, from the first third to the last, by 16: a pool's connections,
# which whoever met nothing but dead servers at first opens later.
MORE_MEMORY, MORE_BYTES, MORE_FILES = 0.10, 8 << 20, 16
RULE = f"""\
A process of Flotilla's is judged from {WARM} s after its start, that of the dead letters from as long after its first \
replay, if there are {LIVED} s from then on. No process has more than {BOUND >> 20} MiB, aggregate's \
{BOUND + REMEMBERED >> 20}, of which {REMEMBERED >> 20} are for the windows that it remembers. While no handler is more \
than {CALM} records behind, and for {LIVED} s at least, none but aggregate's grows by more than {MORE_MEMORY:.0%} and \
{MORE_BYTES >> 20} MiB in all. Of the looks at which as many processes ran as at most of them, it has at most \
{MORE_FILES} open files more in the last third than it had in the first."""


@dataclass
class Life:
    """One process, by its number."""

    name: str
    pid: int
    times: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    calm: list[bool] = field(default_factory=list)
    # How many processes there were: each has connections to broker and servers, which are open files there.
    running: list[int] = field(default_factory=list)
    # When it did what it did not do before: that of the dead letters, its first replay.
    first_use: float | None = None

    @property
    def judged(self) -> list[int]:
        """The places of the looks that count."""
        begin = (self.times[0] if self.first_use is None else self.first_use) + WARM
        return [place for place, moment in enumerate(self.times) if moment >= begin]

    @property
    def is_judged(self) -> bool:
        kept = self.judged
        return self.name not in SERVERS and len(kept) > 1 and self.times[kept[-1]] - self.times[kept[0]] >= LIVED

    def calm_growth(self) -> tuple[float, float]:
        """For how many seconds it was calm, and by how much it grew in each stretch of those together."""
        seconds = grown = 0.0
        first = None
        kept = self.judged
        for place, following in zip(kept, [*kept[1:], None], strict=True):
            if not self.calm[place]:
                continue
            first = place if first is None else first
            if following is None or not self.calm[following] or self.times[following] - self.times[place] > 5:
                seconds += self.times[place] - self.times[first]
                grown += max(0, self.memory[place] - self.memory[first])
                first = None
        return seconds, grown

    def open_files(self) -> tuple[int, int]:
        """The most in the first third and in the last, of the looks at which as many processes ran as at most of them: what
        is killed closes connections, and a process opens those again that it needs."""
        kept = self.judged
        mostly = statistics.mode(self.running[place] for place in kept)
        kept = [place for place in kept if self.running[place] == mostly]
        third = max(1, len(kept) // 3)
        return (max(self.files[place] for place in kept[:third]), max(self.files[place] for place in kept[-third:]))

    def told(self) -> str:
        (seconds, grown), (opened, left) = self.calm_growth(), self.open_files()
        return (f"{self.name}, {self.times[-1] - self.times[0]:.0f} s: {mebibytes(max(self.memory))} at most, grew by "
                f"{mebibytes(grown)} in {seconds:.0f} calm s; {opened} to {left} files at most")

    def faults(self) -> list[str]:
        who, remembers = f"{self.name} (process {self.pid})", self.name.startswith("aggregate")
        (seconds, grown), (opened, left), found = self.calm_growth(), self.open_files(), []
        if max(self.memory) > BOUND + (REMEMBERED if remembers else 0):
            found.append(f"{who} had {mebibytes(max(self.memory))}")
        before = self.memory[self.judged[0]]
        if not remembers and seconds >= LIVED and grown > before * MORE_MEMORY + MORE_BYTES:
            found.append(f"{who} grew by {mebibytes(grown)} in {seconds:.0f} calm s, from {mebibytes(before)}")
        if left > opened + MORE_FILES:
            found.append(f"{who} had {opened} files open, and {left} later")
        return found


def mebibytes(size: float) -> str:
    return f"{size / (1 << 20):.1f} MiB"


class Samples:
    """Each second the processes; each few seconds what `flotilla status` says."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.lives: dict[tuple[str, int], Life] = {}
        # By handler: when, how many records behind, by how many seconds.
        self.lags: dict[str, list[tuple[float, int, float]]] = {}
        self.is_over = threading.Event()
        self.threads: list[threading.Thread] = []
        # What kept it from looking.
        self.faults: list[str] = []

    def start(self, began: float) -> None:
        self.began = began
        for look, pause in ((self.look_at_processes, 1), (self.look_at_lag, 3)):
            thread = threading.Thread(target=self.repeat, args=(look, pause), daemon=True)
            self.threads.append(thread)
            thread.start()

    def repeat(self, look: Callable[[], None], pause: float) -> None:
        while not self.is_over.wait(pause):
            try:
                look()
            except Exception:
                self.faults.append(traceback.format_exc(limit=-3))

    def look_at_processes(self) -> None:
        now = time.monotonic() - self.began
        pids = self.site.pids()
        for name, pid in pids.items():
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
            life.calm.append(self.is_calm(now))
            life.running.append(len(pids))

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

    def is_calm(self, now: float) -> bool:
        """By the last look, if that was not long ago."""
        rows = [rows[-1] for rows in self.lags.values()]
        return bool(rows) and all(now - moment < 8 and lag <= CALM for moment, lag, _ in rows)

    def table(self) -> str:
        """All looks, for whoever wants to reckon with them."""
        rows = [
            f"{moment:.1f},{life.name},{life.pid},{size},{files},{int(calm)}"
            for life in self.lives.values()
            for moment, size, files, calm in zip(life.times, life.memory, life.files, life.calm, strict=True)]
        return "\n".join(["seconds,process,pid,bytes,files,calm", *rows]) + "\n"

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
