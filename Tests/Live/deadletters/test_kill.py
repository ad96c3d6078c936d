"""Ten thousand are replayed, and in the middle the worker is killed and the job cancelled: each ends exactly once."""

from __future__ import annotations

from collections import Counter

import pytest

from site_of_letters import Site, orders, until

ORDERS = 5000
LETTERS = 2 * ORDERS


@pytest.mark.long
def test_killed_and_cancelled_in_the_middle_of_a_replay(site: Site) -> None:
    """To a handler that remembers and to one that does not, which would do a second time what came a second time."""
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.handle("shipper")
    site.publish(orders(ORDERS))
    until(lambda: site.states() == {"open": LETTERS}, "the dead letters", limit=180)
    site.broken.unlink()

    def published(job: str) -> int:
        return site.dlq("jobs", "show", job)[0]["published"]

    (first,) = site.dlq("replay", "--confirm", str(LETTERS), "--rate", "2000", "--no-wait")
    for share in (10, 4):
        until(lambda: published(first["job"]) >= LETTERS // share, "the middle", limit=180)
        site.parts["deadletters"].kill()
    until(lambda: published(first["job"]) >= LETTERS // 3, "the middle", limit=180)
    assert site.dlq("jobs", "pause", first["job"])[0]["state"] == "paused"
    assert site.dlq("jobs", "resume", first["job"])[0]["state"] == "running"
    assert site.dlq("jobs", "cancel", first["job"])[0]["state"] == "cancelled"
    noted = [(line["verb"], line["job"]) for line in site.dlq("audit")]
    assert noted == [(verb, first["job"]) for verb in ("jobs cancel", "jobs resume", "jobs pause", "replay")]
    site.parts["deadletters"].kill()
    until(lambda: set(site.states()) == {"open", "resolved"}, "what was under way", limit=120)
    left = site.states()
    assert sum(left.values()) == LETTERS and left["open"] > 0

    (second,) = site.dlq("replay", "--confirm", str(left["open"]), "--rate", "2000", "--no-wait")
    until(lambda: published(second["job"]) > left["open"] // 2, "the middle", limit=180)
    site.parts["deadletters"].kill()
    told = site.run("dlq", "jobs", "follow", second["job"])
    assert told.returncode == 0, told.stdout + told.stderr
    assert site.states() == {"resolved": LETTERS}
    for sink in ("orders.priced", "orders.shipped"):
        ends = Counter(dict(message.headers())["ce_id"] for message in site.read(sink))
        assert len(ends) == ORDERS and set(ends.values()) == {1}, sink
    for topic in ("orders.pricer.replay", "orders.shipper.replay"):
        # Once each, and in the order in which they were first.
        last: dict[tuple[int, str], int] = {}
        found = site.read(topic)
        assert len(found) == ORDERS
        for message in found:
            headers = {name: value.decode() for name, value in message.headers()}
            place = (message.partition(), headers["dlq-replay-job"])
            assert int(headers["src-offset"]) > last.get(place, -1)
            last[place] = int(headers["src-offset"])
