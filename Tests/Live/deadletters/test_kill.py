"""The worker is killed in the middle of a replay: each record ends exactly once in the handler's outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from site_of_letters import Site, orders, until

COUNT = 3000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.end()


def test_killed_in_the_middle_of_a_replay(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.publish(orders(COUNT))
    until(lambda: site.states() == {"open": COUNT}, "the dead letters", limit=120)
    site.broken.unlink()
    (job,) = site.dlq("replay", "--confirm", str(COUNT), "--rate", "1000", "--no-wait")
    for share in (10, 3, 2):
        until(lambda: site.dlq("jobs", "show", job["job"])[0]["published"] >= COUNT // share, "the middle", limit=120)
        site.parts["deadletters"].kill()
    told = site.run("dlq", "jobs", "follow", job["job"])
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{COUNT} resolved, 0 failed again" in told.stdout
    assert site.states() == {"resolved": COUNT}
    ends = Counter(dict(message.headers())["ce_id"] for message in site.read("orders.priced"))
    assert len(ends) == COUNT and set(ends.values()) == {1}
    # The order of each source partition, but for what went twice.
    last: dict[int, int] = {}
    for message in site.read("orders.pricer.replay"):
        headers = {name: value.decode() for name, value in message.headers()}
        assert headers["dlq-replays"] == "1" and headers["dlq-replay-job"] == job["job"]
        offset = int(headers["src-offset"])
        assert offset >= last.get(message.partition(), -1) - 200
        last[message.partition()] = max(offset, last.get(message.partition(), -1))


def test_cancelled_in_the_middle_of_a_replay(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.publish(orders(1000))
    until(lambda: site.states() == {"open": 1000}, "the dead letters", limit=120)
    site.broken.unlink()
    (job,) = site.dlq("replay", "--confirm", "1000", "--rate", "200", "--no-wait")
    until(lambda: site.dlq("jobs", "show", job["job"])[0]["published"] > 100, "some")
    assert site.dlq("jobs", "pause", job["job"])[0]["state"] == "paused"
    assert site.dlq("jobs", "resume", job["job"])[0]["state"] == "running"
    assert site.dlq("jobs", "cancel", job["job"])[0]["state"] == "cancelled"
    until(lambda: set(site.states()) == {"open", "resolved"}, "what was under way")
    left = site.states()
    assert sum(left.values()) == 1000
    told = site.run("dlq", "replay", "--confirm", str(left["open"]), "--rate", "5000")
    assert told.returncode == 0, told.stdout + told.stderr
    ends = Counter(dict(message.headers())["ce_id"] for message in site.read("orders.priced"))
    assert len(ends) == 1000 and set(ends.values()) == {1}
