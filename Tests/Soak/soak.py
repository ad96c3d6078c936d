"""`make soak`: the whole fleet under load, while all that it consists of is killed, stopped, filled and scaled; and
then whether it counted right.

    make soak
    SOAK_MINUTES=30 SOAK_RATE=500 SOAK_SEED=7 make soak
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import notifications
from chaos import Chaos, schedule
from checks import PATIENCE, worked_off
from disks import small_disk
from hooks import Receivers
from load import Load
from logs import Logs
from mending import Mender
from outside import ROOT
from progress import Progress
from report import Report
from samples import Samples
from site_of_soak import Site
from verdict import Verdict

MINUTES = float(os.environ.get("SOAK_MINUTES", "10"))
RATE = int(os.environ.get("SOAK_RATE", "300"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or random.randrange(1, 1 << 32)
OUT = Path(os.environ.get("SOAK_OUT", ROOT / ".build" / "soak"))
# Of the disk: what Postgres and Redis begin with, and what the log takes a minute at this rate.
DISK = 768 + int(MINUTES * RATE / 4)
# What everything else is to have of the memory, in MiB.
SPARE = 2048
# When it has not ended so many seconds behind its time, it does not move any more.
LATE = 300


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """One that other users may pass: root's Postgres runs as another."""
    path = Path(tempfile.mkdtemp(prefix="flotilla-soak-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def disk(path: Path) -> Iterator[tuple[Path, str | None]]:
    """A small one, or a folder and why it is no disk: what others use too is not to be filled. It is of memory, and
    takes all of that when it is full."""
    free = int(re.findall(r"MemAvailable: *(\d+)", Path("/proc/meminfo").read_text())[0]) >> 10
    if free < DISK + SPARE:
        path.mkdir()
        yield path, f"of {DISK} MiB takes as much memory, and {free} MiB are free"
        return
    with contextlib.ExitStack() as stack:
        try:
            found, reason = stack.enter_context(small_disk(path, f"{DISK}m")), None
        except pytest.skip.Exception:
            found, reason = path, "takes a mount, which this user may not make"
        yield found, reason


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(folder())
        small, reason = stack.enter_context(disk(place / "disk"))
        secret = "whsec_" + base64.b64encode(random.Random(SEED).randbytes(32)).decode()
        receivers = Receivers(secret, SEED)
        stack.callback(receivers.end)
        site = Site(place, small, notifications.text(receivers.channels()), secret)
        stack.callback(site.end)
        return run(site, small, reason, receivers)


def run(site: Site, small: Path, why_not_filled: str | None, receivers: Receivers) -> int:
    deeds = schedule(SEED, MINUTES * 60, why_not_filled is None)
    progress = Progress(MINUTES * 60)
    progress.tell(f"SOAK_SEED={SEED} SOAK_MINUTES={MINUTES:g} SOAK_RATE={RATE}")
    if why_not_filled:
        progress.tell(f"LEFT OUT: a disk that fills {why_not_filled}")
    site.up()
    load = Load(SEED, MINUTES, RATE, sum(deed.what == "mend" for deed in deeds), site.address)
    progress.tell(f"{load.events} events, {len(deeds)} deeds")
    mender, samples = Mender(site, load), Samples(site)
    chaos = Chaos(site, small, receivers, mender, load, deeds, progress.tell)
    verdict = Verdict(site, load, chaos, receivers, samples)
    load.start()
    chaos.start(load.began)
    samples.start(load.began)
    try:
        while not (load.is_done and chaos.is_done):
            progress.show(time.monotonic() - load.began, load, samples)
            time.sleep(0.5)
            if time.monotonic() - load.began > MINUTES * 60 + LATE:
                load.is_over = chaos.is_over = True
        progress.tell(f"sent and done, {time.monotonic() - load.began:.0f} s in")
        verdict.run("all could be sent", lambda check: check.faults.extend(
            [f"{load.left} requests had no end {LATE} s after their time"] if load.left else []))
        verdict.run("what was mended is resolved", lambda _: mender.mend(len(load.sets) - 1))
        verdict.run("all is worked off", lambda check: check.told.append(work_off(site, load)))
        progress.tell("all is worked off" if verdict.is_good else "not all is worked off")
        verdict.of_the_fleet()
    finally:
        chaos.end()
        load.end()
        samples.end()
    took = time.monotonic() - load.began
    used = sum(path.stat().st_size for path in site.data.rglob("*") if path.is_file() and not path.is_symlink())
    verdict.run("`flotilla down` ends all in order", lambda _: site.down())
    logs = Logs(site.logs)
    verdict.of_what_was_seen(logs)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    shutil.copytree(site.logs, OUT / "logs")
    report = Report(SEED, MINUTES, RATE, took, used, why_not_filled, verdict, logs)
    (OUT / "report.txt").write_text(report.text())
    (OUT / "samples.csv").write_text(samples.table())
    (OUT / "report.html").write_text(report.html())
    progress.end()
    print(report.text())
    print(f"{OUT}/report.html shows it, {OUT}/logs has what was said")
    return 0 if verdict.is_good else 1


def work_off(site: Site, load: Load) -> str:
    """Waits until each event is counted; a hang is told by how long nothing moves."""
    counts = Counter(point.metric for point in load.expected.points)
    began = moved = time.monotonic()
    done = 0
    while done < sum(counts.values()):
        found = worked_off(site, counts, done)
        if found != done:
            done, moved = found, time.monotonic()
        assert time.monotonic() - moved < PATIENCE, f"stuck at {done} of {sum(counts.values())}: {site.said()}"
        time.sleep(0.3)
    return f"{done} points are counted, {time.monotonic() - began:.0f} s after the last deed"


if __name__ == "__main__":
    sys.exit(main())
