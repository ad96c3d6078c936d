"""The worker of the dead letters itself: two of them, one that was taken for dead, one part of it that fails."""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections import Counter

import pytest

from ports import free_port
from site_of_letters import PARTITIONS, Site, configure, orders, until


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def test_one_that_stands_by_is_ready(site: Site) -> None:
    ports = {name: free_port() for name in ("deadletters", "another")}
    for name, port in ports.items():
        site.follow(name, "--admin", str(port))
    for port in ports.values():
        until(lambda: page(port, "/readyz") == (200, "ready\n"), "both to be ready")

    def told() -> list[bool]:
        return [json.loads(page(port, "/healthz")[1]).get("stands_by", False) for port in ports.values()]

    until(lambda: sorted(told()) == [False, True], "one of them to stand by")
    until(lambda: sorted("stands_by" in line for line in site.run("workers").stdout.splitlines()) == [False, True],
          "both to tell")

    def missing() -> list[str]:
        told = [json.loads(line)["handlers"] for line in site.run("workers").stdout.splitlines()]
        return [what for (handler,) in told for what in handler["missing"]]

    # What was told last may be of a moment before.
    until(lambda: missing() == [], "neither to miss anything")
    assert sorted(re.search(r"^flotilla_deadletters_stands_by (\d)", page(port, "/metrics")[1], re.M).group(1)
                  for port in ports.values()) == ["0", "1"]
    # It takes over when the other is gone.
    names = list(ports)
    leader = names[told().index(False)]
    other = names[told().index(True)]
    site.parts[leader].end()
    until(lambda: not json.loads(page(ports[other], "/healthz")[1]).get("stands_by"), "the other to take over")
    assert page(ports[other], "/readyz")[0] == 200


def test_one_that_has_to_stand_by_tells_no_figures_of_before(site: Site) -> None:
    """They are its successor's to tell: what it saw last would be alerted of for ever."""
    site.broken.write_text("")
    port = free_port()
    site.follow("deadletters", "--admin", str(port))
    site.handle("pricer")
    site.publish(orders(4))
    until(lambda: site.states() == {"open": 4}, "the dead letters")
    configure(site, "orders.pricer.dlq", "retention.ms", 71 * 3_600_000)
    told = site.run("dlq", "replay", "--canary", "2", "--confirm", "4")
    assert told.returncode == 1 and "stopped" in told.stdout, told.stdout
    site.psql("UPDATE deadletters.entries SET copied_at = now() - interval '36 hours'")
    site.parts["deadletters"].kill()
    names = ("open", "standing", "expiring", "oldest_seconds")

    def figures() -> list[float]:
        found = dict(re.findall(r"^flotilla_deadletters_(\w+) (\S+)$", page(port, "/metrics")[1], re.M))
        return [float(found[name]) for name in names if name in found]

    until(lambda: len(figures()) == 4 and all(figures()), "the figures", limit=90)
    site.psql("UPDATE deadletters.leases SET holder = 'another', until = now() + interval '1 hour'")
    until(lambda: json.loads(page(port, "/healthz")[1]).get("stands_by"), "it to stand by")
    until(lambda: figures() == [], "the figures to be nobody's")


def test_what_fails_in_the_watch_stops_nothing_else(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.publish(orders(3))
    until(lambda: site.states() == {"open": 3}, "the dead letters")
    site.psql("ALTER TABLE deadletters.retentions RENAME TO elsewhere")
    site.parts["deadletters"].kill()
    log = site.folder / "deadletters.log"
    until(lambda: "cannot see what topics have let go of" in log.read_text(), "the fault to be told")
    site.publish(orders(3), 3)
    until(lambda: site.states() == {"open": 6}, "those that died since")
    site.broken.unlink()
    told = site.run("dlq", "replay", "--confirm", "6")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "the dead letters are not followed" not in log.read_text()


def test_one_that_was_taken_for_dead_changes_nothing(site: Site) -> None:
    """The case that is left: what it was about to publish may be published twice, and nothing else is wrong."""
    count = 500
    site.broken.write_text("")
    ports = {name: free_port() for name in ("deadletters", "another")}
    for name, port in ports.items():
        site.follow(name, "--admin", str(port))
    site.handle("pricer")
    site.handle("shipper")
    site.publish(orders(count))
    until(lambda: site.states() == {"open": 2 * count}, "the dead letters", limit=90)
    site.broken.unlink()
    (job,) = site.dlq("replay", "--confirm", str(2 * count), "--rate", "200", "--no-wait")

    def published() -> int:
        return site.dlq("jobs", "show", job["job"])[0]["published"]

    def generation() -> int:
        return int(site.psql("SELECT generation FROM deadletters.leases"))

    until(lambda: published() > 200, "the middle")
    before = generation()
    leader = next(name for name, port in ports.items()
                  if not json.loads(page(port, "/healthz")[1]).get("stands_by"))
    process = site.parts[leader].process
    assert process
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        until(lambda: generation() > before, "the other to take over")
        until(lambda: published() > 500, "the other to go on")
    finally:
        os.killpg(process.pid, signal.SIGCONT)
    told = site.run("dlq", "jobs", "follow", job["job"])
    assert told.returncode == 0, told.stdout + told.stderr
    assert site.states() == {"resolved": 2 * count}
    assert site.psql("SELECT published || ' ' || resolved || ' ' || failed || ' ' || skipped FROM deadletters.jobs") == (
        f"{2 * count} {2 * count} 0 0")
    assert process.poll() is None, site.parts[leader].said()
    ends = Counter(dict(message.headers())["ce_id"] for message in site.read("orders.priced"))
    assert len(ends) == count and set(ends.values()) == {1}
    # Of one that remembers nothing so many may come twice.
    ends = Counter(dict(message.headers())["ce_id"] for message in site.read("orders.shipped"))
    assert len(ends) == count and sum(ends.values()) <= count + 200
    until(lambda: page(ports[leader], "/readyz")[0] == 200, "the one that woke up to stand by")


def screen(site: Site, *words: str) -> tuple[int, str]:
    """What a command shows on a terminal."""
    process, terminal = os.forkpty()
    if process == 0:
        command = site.parts["deadletters"].command[0]
        os.execve(command, [command, *words], site.environment)
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:
            piece = b""
        if not piece:
            break
        shown += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown.decode()


def test_a_replay_is_a_bar_on_a_terminal(site: Site) -> None:
    try:
        for end in os.openpty():
            os.close(end)
    except OSError as fault:
        pytest.skip(f"no terminal is to be had here: {fault}")
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.publish(orders(20))
    until(lambda: site.states() == {"open": 20}, "the dead letters")
    code, shown = screen(site, "dlq", "replay", "--canary", "4", "--confirm", "20")
    assert code == 1
    # Four of twenty have ended, and they are six of thirty cells.
    last = shown.split("\r\x1b[2K")[-1]
    assert last.startswith("█" * 6 + "░" * 24 + " job ") and "stopped (of the first 4, 4 failed again)" in last, shown
    first = shown.split("\r\x1b[2K")[1]
    assert first.startswith("░" * 30 + " job "), shown
    site.broken.unlink()
    (job,) = site.dlq("jobs")
    site.dlq("jobs", "resume", job["job"])
    code, shown = screen(site, "dlq", "jobs", "follow", job["job"])
    assert code == 1
    last = shown.split("\r\x1b[2K")[-1]
    assert last.startswith("█" * 30 + f" job {job['job']} done: 20 of 20 published, 16 resolved, 4 failed again"), shown


@pytest.mark.parametrize("country", ["slow", "endless"])
def test_a_worker_ends_whose_calls_do_not_come_back(site: Site, country: str) -> None:
    """Those that compute without an end take the threads of all tasks, where there are no more of them than partitions:
    nobody can even leave the group then."""
    cores = len(os.sched_getaffinity(0))
    code, words = 0, "a call does not come back: its partition is given up without it"
    if country == "endless" and cores <= PARTITIONS:
        code, words = 1, "what is under way did not end within 40.0 seconds: the process ends without it"
    site.broken.write_text(country)
    site.handle("clerk")
    clerk = site.parts.pop("clerk")
    try:
        until(lambda: "INFO working" in clerk.said(), "the worker")
        site.publish(orders(100, country))
        until(lambda: clerk.said().count("the clerk has order") >= min(cores, PARTITIONS), "the calls")
        clerk.process.send_signal(signal.SIGTERM)
        assert clerk.process.wait(60) == code and words in clerk.said(), clerk.said()
    finally:
        clerk.end()
