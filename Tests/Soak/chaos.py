"""What is done to the fleet, and when: drawn from a seed before it begins, so the same seed is the same schedule."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from disks import fill
from hooks import CHANNELS, MODES, Receivers
from load import Load
from mending import Mender
from site_of_soak import HANDLERS, Site, alive, until

# A round of all deeds takes so many minutes.
ROUND = 3
# Longer than a worker's session, which has 10 s.
STOPPED = (12, 16)
FULL = (10, 14)
HOOKS = (8, 20)
# After a deed a server may still end of it for so many seconds: it is started again with pauses, up to ten of them.
RECOVERS = 15
# How long deeds are reckoned to take, the fleet's recovery included, so that there is no time in which nothing happens.
TAKES = {"kill": 4, "stop": 22, "supervisor": 10, "disk": 20, "scale": 3}


@dataclass
class Deed:
    """One thing that is done, `at` so many seconds after the load began."""

    at: float
    what: str
    whom: str
    lasts: float = 0
    # As it went.
    began: float | None = None
    ended: float | None = None
    note: str = ""
    # The processes that were killed for it.
    killed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lasts = f" for {self.lasts:.0f} s" if self.lasts else ""
        return f"{self.what} {self.whom}".strip() + lasts


def schedule(seed: int, seconds: float, has_disk: bool) -> list[Deed]:
    """Rounds of all that is done, each in an order of its own; nothing begins in the last tenth.

    After the first third of the rounds some processes are left alone: what is killed every few minutes cannot show
    whether its memory grows.
    """
    dice = random.Random(seed)
    rounds = max(1, round(seconds / 60 / ROUND))
    length = seconds * 0.9 / rounds
    spared = {"", *dice.sample([*HANDLERS, "edge", "broker", "console"], 4)}
    found: list[Deed] = []
    for number in range(rounds):
        deeds = [Deed(0, "kill", whom) for whom in [*HANDLERS, "edge", "broker", "redis", "postgres", "console"]]
        deeds.append(Deed(0, "supervisor", ""))
        if number >= max(1, rounds // 3):
            deeds = [deed for deed in deeds if deed.whom not in spared]
        deeds.append(Deed(0, "stop", dice.choice(HANDLERS[:4]), dice.uniform(*STOPPED)))
        if has_disk:
            deeds.append(Deed(0, "disk", "", dice.uniform(*FULL)))
        handler = dice.choice(["ingest", "process", "aggregate", "notify"])
        scaled = [Deed(0, "scale", f"{handler}={dice.randrange(2, 5)}"), Deed(0, "scale", f"{handler}=1")]
        dice.shuffle(deeds)
        # Up, and down again later.
        places = sorted(dice.sample(range(len(deeds) + 1), 2), reverse=True)
        for place, deed in zip(places, reversed(scaled), strict=True):
            deeds.insert(place, deed)
        free = max(0.0, length - sum(TAKES[deed.what] for deed in deeds))
        gaps = sorted(dice.uniform(0, free) for _ in deeds)
        taken = 0.0
        for deed, gap in zip(deeds, gaps, strict=True):
            deed.at = number * length + gap + taken
            taken += TAKES[deed.what]
        # Beside the others: receivers, and dead letters whose cause is mended.
        for _ in range(2):
            lasts = dice.uniform(*HOOKS)
            where = number * length + dice.uniform(0, length - lasts)
            deeds.append(Deed(where, dice.choice(MODES), dice.choice(CHANNELS), lasts))
        deeds.append(Deed((number + dice.uniform(0.3, 0.7)) * length, "mend", str(number)))
        found += deeds
    return sorted(found, key=lambda deed: deed.at)


class Chaos:
    """Does what the schedule says; those that are beside others in threads of their own."""

    def __init__(self, site: Site, disk: Path | None, receivers: Receivers, mender: Mender, load: Load,
                 deeds: list[Deed], tell: Callable[[str], None]) -> None:
        self.site, self.disk, self.receivers, self.mender, self.load = site, disk, receivers, mender, load
        self.deeds, self.tell = deeds, tell
        self.threads: list[threading.Thread] = []
        self.faults: list[str] = []
        self.is_over = False

    def start(self, began: float) -> None:
        self.began, self.wall = began, time.time() - time.monotonic() + began
        beside = [deed for deed in self.deeds if deed.what in (*MODES, "mend")]
        behind = [deed for deed in self.deeds if deed not in beside]
        for line in [behind, *([deed] for deed in beside)]:
            thread = threading.Thread(target=self.work, args=(line,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def explains(self, server: str, moment: float) -> bool:
        """Whether a server had a reason to end then, by the clock on the wall."""
        moment -= self.wall
        return any(
            deed.what in ("disk", "supervisor") or deed.what == "kill" and deed.whom == server
            for deed in self.deeds
            if deed.began is not None and deed.began <= moment <= (deed.ended or moment) + RECOVERS)

    @property
    def is_done(self) -> bool:
        return not any(thread.is_alive() for thread in self.threads)

    def work(self, deeds: list[Deed]) -> None:
        for deed in deeds:
            while not self.is_over and (left := self.began + deed.at - time.monotonic()) > 0:
                time.sleep(min(left, 0.5))
            if self.is_over:
                return
            deed.began = time.monotonic() - self.began
            self.tell(str(deed))
            try:
                self.do(deed)
            except Exception as fault:
                deed.note = f"failed: {fault!r}"
                self.faults.append(f"{deed}, {deed.began:.0f} s in: {fault!r}")
            deed.ended = time.monotonic() - self.began

    def do(self, deed: Deed) -> None:
        match deed.what:
            case "kill":
                self.kill(deed, deed.whom)
                deed.note = deed.killed[0]
            case "stop":
                self.stop(deed)
            case "supervisor":
                self.site.lose_supervisor()
            case "disk":
                self.fill(deed)
            case "scale":
                self.scale(deed.whom)
            case "mend":
                self.mender.mend(int(deed.whom))
            case mode:
                self.receivers.modes[deed.whom] = mode
                self.pause(deed.lasts)
                if self.receivers.modes.get(deed.whom) == mode:
                    del self.receivers.modes[deed.whom]

    def kill(self, deed: Deed, whom: str) -> None:
        name, pid = self.one_of(whom)
        os.kill(pid, signal.SIGKILL)
        deed.killed.append(name)

    def one_of(self, whom: str) -> tuple[str, int]:
        """A process of that name, or of that handler, which lives: one that was ended before has to be back."""
        until(lambda: self.living(whom) != [], f"another {whom}")
        return self.living(whom)[-1]

    def living(self, whom: str) -> list[tuple[str, int]]:
        pids = self.site.pids()
        names = [whom] if whom in pids else self.site.workers_of(whom)
        return [(name, pids[name]) for name in names if name in pids and alive(pids[name])]

    def scale(self, wanted: str) -> None:
        told = self.site.run("scale", wanted)
        assert told.returncode == 0, told.stderr

    def stop(self, deed: Deed) -> None:
        """Longer than its session: its partitions go to another, and it wakes up as somebody who was thought dead."""
        self.scale(f"{deed.whom}=2")
        until(lambda: len(self.living(deed.whom)) >= 2, f"a second {deed.whom}")
        name, pid = self.living(deed.whom)[0]
        deed.note = name
        os.kill(pid, signal.SIGSTOP)
        self.pause(deed.lasts)
        if alive(pid):
            os.kill(pid, signal.SIGCONT)
        self.scale(f"{deed.whom}=1")

    def fill(self, deed: Deed) -> None:
        """Takes all the room that there is, and gives it back; the broker has to come back without any meanwhile. Clients
        meet it when a partition has used what the log has reserved for it, which may be later than it lasts."""
        assert self.disk
        before, ballast = self.load.count("503"), self.disk / "ballast"
        ballast.mkdir()
        try:
            fill(ballast)
            self.kill(deed, "broker")
            end = time.monotonic() + deed.lasts
            while not self.is_over and time.monotonic() < end:
                # What others have let go of, too.
                if os.statvfs(self.disk).f_bavail > 0:
                    fill(Path(tempfile.mkdtemp(dir=ballast)))
                time.sleep(0.01)
            deed.note = f"{self.load.count('503') - before} requests were answered 503"
        finally:
            shutil.rmtree(ballast)

    def pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.is_over and time.monotonic() < end:
            time.sleep(0.1)

    def end(self) -> None:
        self.is_over = True
        for thread in self.threads:
            thread.join(90)
