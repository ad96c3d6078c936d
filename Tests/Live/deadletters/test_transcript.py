"""docs/dead-letters.md: its commands, run as they stand there, print what stands there.

What is of a run (times, names of jobs and processes, which order was first) is put aside before it is compared; with
TRANSCRIPT=write the page gets what this run printed.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from site_of_letters import ROOT, Site, until

PAGE = ROOT / "docs/dead-letters.md"
BLOCK = re.compile(r"```console\n\$ flotilla (.*)\n((?:.*\n)*?)```\n")
COUNT = 40


def apart(text: str) -> list[str]:
    for pattern, name in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"), (r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}\b", "WORKER"),
        (r"\bjob [0-9a-f]{8}\b", "JOB"), (r"[·▁▂▃▄▅▆▇█]{24}", "TREND"), (r"order \d+$", "ORDER"), (r"in \d+m?s:", "SPAN"),
        (r"\b[0-9a-f]{32}\b", "TRACE"), (r"chosen for replay by \w+", "BY"),
    ]:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    # How far a job is when it is first seen is of the run too, and which of its states are seen at all.
    lines = [re.sub(r": \d+ of (\d+) published, .*", r": … of \1", line) if " done" not in line else line
             for line in text.splitlines() if not re.match(r"JOB (waiting|running|finishing)", line)]
    return [re.sub(r" +$", "", line) for line in lines]


def without_canary(told: str, lines: list[str]) -> list[str]:
    """On a slow machine it may be over before anybody looks."""
    return lines if "canary of" in told else [line for line in lines if not line.startswith("JOB canary")]


def test_the_page_says_what_happens(site: Site) -> None:
    site.broken.write_text("fr")
    site.follow()
    site.handle("pricer")
    site.publish_for_the_page()
    until(lambda: site.states() == {"open": COUNT}, "the dead letters")
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == 6
    (group,) = site.dlq("groups")
    (letter,) = site.dlq("list", "--key", "customer-17")
    printed: list[tuple[str, str]] = []
    for number, (command, output) in enumerate(blocks):
        if os.environ.get("TRANSCRIPT") == "write":
            command = re.sub(r"--fingerprint \w+", f"--fingerprint {group['fingerprint']}", command)
            command = re.sub(r"show [0-9a-f-]{36}", f"show {letter['id']}", command)
        if "dry-run" in command:
            site.broken.unlink()
        told = site.run(*shlex.split(command))
        assert told.returncode == 0, command + "\n" + told.stdout + told.stderr
        printed.append((command, told.stdout))
        if os.environ.get("TRANSCRIPT") != "write":
            assert without_canary(told.stdout, apart(told.stdout)) == without_canary(told.stdout, apart(output)), command
    assert site.states() == {"resolved": COUNT}
    # It was seen or not: a canary went first, and nothing else before all of it had ended.
    assert any("canary of 5: 5 of 40 published" in output for _, output in blocks)
    assert site.psql("""SELECT (SELECT max(outcome_at) FROM deadletters.items WHERE number <= 5)
        < (SELECT min(sent_at) FROM deadletters.items WHERE number > 5)""") == "t"
    if os.environ.get("TRANSCRIPT") == "write":
        whole = iter(printed)
        PAGE.write_text(BLOCK.sub(lambda _: "```console\n$ flotilla {}\n{}```\n".format(*next(whole)), PAGE.read_text()))
