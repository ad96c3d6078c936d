"""`flotilla tail` into what takes no more."""

from __future__ import annotations

import subprocess
from pathlib import Path

from processes import launch
from site_of_processes import FLOTILLA, Site

LINE = '{"event_type":"t"}\n'


def test_tail_says_that_a_disk_is_full_and_ends(site: Site) -> None:
    site.start_edge()
    assert site.run(FLOTILLA, "publish", input=LINE).returncode == 0
    for options in (), ("--json",), ("-f", "--from", "earliest"):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [FLOTILLA, "tail", "events.raw", *options], cwd=site.folder, env=site.environment, stdout=full,
                stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == 1 and "No space left" in done.stderr, options


def test_tail_ends_when_nobody_reads_any_more(site: Site) -> None:
    site.start_edge()
    assert site.run(FLOTILLA, "publish", input=LINE).returncode == 0
    process = launch(
        [FLOTILLA, "tail", "-f", "--from", "earliest", "events.raw"], cwd=site.folder, env=site.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().endswith(LINE)
    process.stdout.close()
    assert site.run(FLOTILLA, "publish", input=LINE).returncode == 0
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
