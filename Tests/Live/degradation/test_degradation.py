"""The pipeline without a dependency that it needs: gone, hanging, full. What docs/degradation.md says of each.

In every case: what the edge acknowledged counts in the end, exactly once; nothing becomes a dead letter because something
was away; what does not need the dependency goes on; and when it is back, everything goes on by itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from disks import fill, small_disk
from fleet import FLOTILLA, Fleet, Part, until
from processes import free_port

HANDLERS = ["ingest", "process", "aggregate"]
LETTERS = ["events.raw.ingest.dlq", "events.accepted.process.dlq", "metrics.points.aggregate.dlq"]


class Site:
    """The fleet, with what its users see."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.sent = 0
        self.pages = {name: free_port() for name in HANDLERS}
        for name, port in self.pages.items():
            fleet.add(name, [FLOTILLA, "work", name, "--admin", port], lambda: True)
        for _ in range(20):
            assert self.publish() == 202
        self.wait_until_all_count()

    def publish(self) -> int:
        """One request of five clicks; the status."""
        first = self.sent
        events = [{"event_id": f"e{number}", "event_type": "click", "campaign_id": f"c{number % 3}"}
                  for number in range(first, first + 5)]
        request = urllib.request.Request(
            f"{self.fleet.edge}/v1/events", json.dumps(events).encode(), {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                status = reply.status
        except urllib.error.HTTPError as refused:
            status = refused.code
            assert refused.headers["Retry-After"]
        # What was not acknowledged is sent again, under the same ids.
        if status == 202:
            self.sent += 5
        return status

    def counted(self) -> int | None:
        """What the answer of a query adds up to; None when there is none."""
        answer = self.fleet.run("query", "--metric", "clicks", "--step", "1d")
        if answer.returncode != 0:
            return None
        return sum(json.loads(line)["count"] for line in answer.stdout.splitlines())

    def why_not_ready(self, handler: str) -> str:
        """Empty when it is."""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.pages[handler]}/readyz", timeout=30).close()
            return ""
        except urllib.error.HTTPError as refused:
            return refused.read().decode()

    def wait_for(self, dependency: str, *handlers: str) -> None:
        """Until these say that they wait for it."""
        for handler in handlers:
            until(lambda: dependency in self.why_not_ready(handler), f"{handler} to miss {dependency}", 90)

    def wait_until_all_count(self) -> None:
        until(lambda: self.counted() == self.sent, f"{self.sent} clicks", 120)
        for handler in HANDLERS:
            until(lambda: self.why_not_ready(handler) == "", f"{handler} to be ready", 60)

    def dead_letters(self) -> int:
        consumer = Consumer({"bootstrap.servers": self.fleet.broker, "group.id": "check"})
        try:
            return sum(consumer.get_watermark_offsets(TopicPartition(topic, number), 10, False)[1]
                       for topic in LETTERS for number in range(6))
        finally:
            consumer.close()

    def check(self) -> None:
        """All is as if nothing had been."""
        assert self.publish() == 202
        self.wait_until_all_count()
        assert self.dead_letters() == 0
        self.fleet.check_alive()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    fleet = Fleet(tmp_path)
    try:
        yield Site(fleet)
    finally:
        for part in fleet.parts.values():
            go_on(part)
        fleet.end()


def processes(part: Part) -> list[int]:
    """The part's own first, then what it has started."""
    main = part.process.pid if part.process else 0
    children = Path(f"/proc/{main}/task/{main}/children")
    return [main, *map(int, children.read_text().split())] if children.exists() else []


def freeze(part: Part) -> None:
    """It keeps its connections, and answers nobody."""
    for pid in processes(part):
        os.kill(pid, signal.SIGSTOP)


def go_on(part: Part) -> None:
    for pid in reversed(processes(part)):
        os.kill(pid, signal.SIGCONT)


def redis(site: Site, *words: str) -> None:
    command = site.fleet.parts["redis"].command
    subprocess.run(["redis-cli", "-p", command[command.index("--port") + 1], *words], check=True, capture_output=True)


def test_redis_gone_hanging_full(site: Site) -> None:
    """The edge goes on; workers pause, because whether an event was done cannot be known; queries answer what was."""
    server = site.fleet.parts["redis"]

    def fill() -> None:
        redis(site, "config", "set", "maxmemory-policy", "noeviction")
        redis(site, "config", "set", "maxmemory", "1")

    ways: list[tuple[Callable[[], None], Callable[[], None]]] = [
        (server.end, server.start), (lambda: freeze(server), lambda: go_on(server)),
        (fill, lambda: redis(site, "config", "set", "maxmemory", "0")),
    ]
    for break_it, mend_it in ways:
        before = site.counted()
        break_it()
        for _ in range(5):
            assert site.publish() == 202
        # What comes first meets it first; the others have nothing to do.
        site.wait_for("redis", "ingest")
        assert site.counted() == before
        mend_it()
        site.check()


def test_postgres_gone_and_hanging(site: Site) -> None:
    """The edge and ingest go on; process and aggregate pause; a query says why it has no answer."""
    server = site.fleet.parts["postgres"]
    for break_it, mend_it in ((server.end, server.start), (lambda: freeze(server), lambda: go_on(server))):
        accepted = depth(site, "events.accepted")
        break_it()
        for _ in range(5):
            assert site.publish() == 202
        until(lambda: depth(site, "events.accepted") >= accepted + 25, "ingest to go on")
        site.wait_for("postgres", "process")
        if break_it == server.end:
            answer = site.fleet.run("query", "--metric", "clicks")
            assert answer.returncode == 1 and "postgres" in answer.stderr, answer.stderr
        mend_it()
        site.check()


def test_the_broker_gone_and_hanging(site: Site) -> None:
    """The edge answers 503, never 202; queries answer what was; nothing is lost, and nothing counts twice."""
    server = site.fleet.parts["broker"]
    for break_it, mend_it in ((server.end, server.start), (lambda: freeze(server), lambda: go_on(server))):
        before = site.counted()
        break_it()
        assert site.publish() == 503
        site.wait_for("kafka", *HANDLERS)
        assert site.counted() == before
        mend_it()
        until(lambda: site.publish() == 202, "the edge to publish")
        site.check()


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """Broker, Redis and Postgres on one disk: the edge answers 503 when the log has no room, and all goes on with room."""
    with small_disk(tmp_path / "small", "192m") as small:
        fleet = Fleet(small / "site")
        try:
            site = Site(fleet)
            filler = fill(small)
            until(lambda: site.publish() == 503, "the log to have no room", 120)
            filler.unlink()
            # Postgres ends when it cannot write its log; who watches over it starts it again.
            for part in fleet.parts.values():
                if part.process and part.process.poll() is not None:
                    part.start()
            until(lambda: site.publish() == 202, "the edge to publish", 120)
            site.check()
        finally:
            fleet.end()


def depth(site: Site, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": site.fleet.broker, "group.id": "check"})
    try:
        return sum(consumer.get_watermark_offsets(TopicPartition(topic, number), 10, False)[1] for number in range(6))
    finally:
        consumer.close()
