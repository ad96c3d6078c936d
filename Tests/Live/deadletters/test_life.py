"""The life of a dead letter: from its arrival to its end, over a real broker, Redis and Postgres."""

from __future__ import annotations

import json

from confluent_kafka import Producer

from site_of_letters import Site, orders, until


def test_from_its_arrival_to_its_end(site: Site) -> None:
    site.broken.write_text("fr")
    site.follow()
    site.handle("pricer")
    site.publish(orders(40) + orders(20, "fr"))
    until(lambda: site.states() == {"open": 20}, "20 dead letters")

    (group,) = site.dlq("groups", "--since", "1h")
    assert (group["handler"], group["total"], group["states"]["open"]) == ("pricer", 20, 20)
    assert group["error"].startswith("no tax is known for fr, order ")
    assert sum(group["hours"]) == 20
    letters = site.dlq("list", "--limit", "15", "--topic", "orders", "--reason", "permanent")
    assert len(letters) == 15
    told = site.run("dlq", "list", "--limit", "15").stdout
    place = told.splitlines()[-1].removeprefix("more: --after ")
    rest = site.dlq("list", "--limit", "15", "--after", place)
    assert len({letter["id"] for letter in letters + rest}) == 20
    assert group["sample"] in {letter["id"] for letter in letters + rest}
    assert site.dlq("list", "--after", letters[-1]["place"]) == rest
    told = site.run("dlq", "export", "--limit", "15")
    assert len(told.stdout.splitlines()) == 15 and f"there are more: --after {letters[-1]['place']} goes on" in told.stderr
    told = site.run("dlq", "export", "--after", letters[-1]["place"])
    assert {json.loads(line)["id"] for line in told.stdout.splitlines()} == {letter["id"] for letter in rest}
    assert "there are more" not in told.stderr
    for time in ("0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"):
        told = site.run("dlq", "list", "--since", time)
        assert told.returncode == 2 and "--since is a time from 1970 to 9999" in told.stderr, told.stderr
    assert len(site.dlq("list", "--since", "30000d")) == 20

    # One of them, with what is personal and without.
    (page,) = site.dlq("show", letters[0]["id"])
    assert page["body"]["customer"]["mail"] == "(masked)" and page["body"]["country"] == "fr"
    assert page["headers"]["ce_id"] == letters[0]["event_id"]
    (page,) = site.dlq("show", letters[0]["id"], "--unmasked")
    assert "@example.com" in page["body"]["customer"]["mail"]
    assert "@example.com" not in site.run("dlq", "show", letters[0]["id"]).stdout

    # Noted, discarded, restored.
    (told,) = site.dlq("note", letters[0]["id"], "waits for the tax table")
    assert told == {"id": letters[0]["id"], "note": "waits for the tax table"}
    assert site.dlq("list", "--id", letters[0]["id"])[0]["note"] == "waits for the tax table"
    key = letters[0]["key"]
    fitting = len(site.dlq("list", "--key", key))
    refused = site.run("dlq", "discard", "--key", key, "--confirm", "0")
    assert refused.returncode == 2
    refused = site.run("dlq", "discard", "--handler", "pricer", "--confirm", "3")
    assert refused.returncode == 1 and "20 fit, and 3 are confirmed" in refused.stderr
    assert site.run("dlq", "discard", "--key", key).returncode == 1
    assert site.run("dlq", "discard", "--key", key, "--dry-run").returncode == 0
    (told,) = site.dlq("discard", "--dry-run", "--limit", "7")
    assert told["fit"] == 7 and told["groups"][0]["fingerprint"] == group["fingerprint"]
    (told,) = site.dlq("replay", "--dry-run", "--limit", "7")
    assert told["fit"] == 7 and told["targets"] == ["to orders.pricer.replay, for pricer alone"]
    assert site.states() == {"open": 20}
    assert site.dlq("discard", "--key", key, "--confirm", str(fitting)) == [{"discarded": fitting}]
    assert site.states() == {"open": 20 - fitting, "discarded": fitting}
    assert site.run("dlq", "restore", "--key", key, "--confirm", str(fitting)).returncode == 0
    # No more than so many, the oldest.
    oldest = [letter["id"] for letter in reversed(letters + rest)][:2]
    assert site.run("dlq", "discard", "--limit", "2", "--confirm", "1").returncode == 1
    assert site.dlq("discard", "--limit", "2", "--confirm", "2") == [{"discarded": 2}]
    assert {letter["id"] for letter in site.dlq("list", "--state", "discarded")} == set(oldest)
    assert site.dlq("restore", "--confirm", "2") == [{"restored": 2}]

    # A canary fails while nothing is mended: nothing else is tried.
    told = site.run("dlq", "replay", "--fingerprint", group["fingerprint"], "--canary", "3", "--confirm", "20")
    assert told.returncode == 1, told.stdout + told.stderr
    assert "stopped (of the first 3, 3 failed again)" in told.stdout
    assert site.states() == {"open": 3, "replaying": 17}
    (job,) = site.dlq("jobs")
    assert (job["state"], job["published"], job["failed"]) == ("stopped", 3, 3)
    refused = site.run("dlq", "replay", "--state", "open", "--confirm", "17", "--id", letters[0]["id"], "--key", "nobody's")
    assert "none that is open fits" in refused.stderr and "another replay" not in refused.stderr
    # What to do about it is said, also to whoever tries the same again.
    assert f"dlq jobs resume {job['job']}` goes on" in told.stderr
    chosen = site.dlq("list", "--state", "replaying")[0]["id"]
    refused = site.run("dlq", "replay", "--id", chosen, "--confirm", "1")
    assert refused.returncode == 1 and "but 1 that another replay has chosen" in refused.stderr, refused.stderr
    assert site.run("dlq", "jobs", "cancel", job["job"]).returncode == 0
    assert site.states() == {"open": 20}
    assert site.run("dlq", "jobs", "resume", job["job"]).returncode == 1

    # Mended.
    site.broken.unlink()
    told = site.run("dlq", "replay", "--fingerprint", group["fingerprint"], "--canary", "3", "--confirm", "20", "--rate", "500")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "20 resolved, 0 failed again" in told.stdout
    assert site.states() == {"resolved": 20}
    priced = [message for message in site.read("orders.priced")]
    assert len(priced) == 60
    story = site.dlq("show", letters[0]["id"])[0]["story"]
    assert any("ended: done" in line["what"] for line in story)
    verbs = [line["verb"] for line in site.dlq("audit")]
    assert verbs == ["replay", "jobs cancel", "replay", "restore", "discard", "restore", "discard", "note", "show"]


def test_a_handler_with_state_counts_a_replay_once(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("totals")
    site.publish(orders(30))
    until(lambda: site.states() == {"open": 30}, "30 dead letters")
    site.broken.unlink()
    site.handle("pricer")
    for _ in range(2):
        told = site.run("dlq", "replay", "--handler", "totals", "--confirm", "30", "--rate", "1000")
        assert told.returncode in (0, 1), told.stderr
    assert "none that is open fits" in told.stderr
    assert site.psql("SELECT sum(events) FROM totals.totals") == "30"
    # Nobody else had it again.
    until(lambda: len(site.read("orders.priced")) == 30, "what is priced")


def test_what_strangers_send_is_shown_harmlessly(site: Site) -> None:
    site.handle("pricer")
    site.publish([b"\x00\xff\x80 binary", b"<script>alert(1)</script>", json.dumps({"a": "\x1b[31mred\u202e\u009b"}).encode(),
                  json.dumps({"big": "x" * 1_040_000}).encode()])
    producer = Producer({"bootstrap.servers": site.broker})
    producer.produce("orders.pricer.dlq", b"not ours", key=b"\x1b]0;title\x07", headers={"dlq-id": "nonsense", "dlq-at": "never",
                     "dlq-replays": "-4", "src-offset": "99999999999999999999", "ce_type": "\x1b[2J", "dlq-fingerprint": "a" * 3000})
    producer.produce("orders.pricer.dlq", None)
    assert producer.flush(30) == 0
    site.follow()
    until(lambda: site.states() == {"open": 6}, "6 dead letters")
    told = site.run("dlq", "list")
    assert told.returncode == 0 and "\x1b" not in told.stdout and "\x07" not in told.stdout
    for letter in site.dlq("list"):
        for words in ([], ["--unmasked"]):
            told = site.run("dlq", "show", letter["id"], *words)
            assert told.returncode == 0, told.stderr
            assert not set("\x1b\x07\x9b\u202e\x00") & set(told.stdout)
            assert len(told.stdout) < 80_000
    lines = [json.loads(line) for line in site.run("dlq", "export", "--unmasked").stdout.splitlines()]
    assert len(lines) == 6 and sum("body_base64" in line for line in lines) == 1
    assert site.run("dlq", "show", "nonsense").returncode == 2
    gone = site.run("dlq", "show", "00000000-0000-5000-8000-000000000000")
    assert gone.returncode == 1 and "there is no dead letter" in gone.stderr
    assert site.run("dlq", "jobs", "show", "'; DROP TABLE jobs").returncode == 1
    assert site.run("dlq", "list", "--state", "dead").returncode == 2
    assert site.run("dlq", "replay", "--to-source", "--canary", "3", "--confirm", "1").returncode == 2

    # Without the index the same is read from the topics, and says so.
    site.parts["postgres"].end()
    told = site.run("dlq", "groups")
    assert told.returncode == 0 and "the index is away" in told.stderr, told.stderr
    assert len(site.run("dlq", "list").stdout.splitlines()) == 7
    assert "not known" in site.run("dlq", "show", letter["id"]).stdout
    # What is hidden is shown to nobody of whom the audit cannot say so.
    for change in ({}, {"DATABASE_URL": ""}):
        site.environment |= change
        told = site.run("dlq", "show", letter["id"], "--unmasked")
        assert told.returncode != 0 and "not ours" not in told.stdout, told.stdout


def test_a_strangers_letter_comes_back_as_itself(site: Site) -> None:
    """One that does not say where it was first takes nobody's place in what a handler with state has applied."""
    site.follow()
    site.handle("totals")
    producer = Producer({"bootstrap.servers": site.broker})

    def publish(topic: str, number: int, country: str) -> None:
        headers = {"ce_specversion": "1.0", "ce_id": f"order-{number}", "ce_source": "/shop", "ce_type": "order.created",
                   "content-type": "application/json"}
        order = {"order": number, "amount": 1, "country": country}
        producer.produce(topic, json.dumps(order).encode(), partition=0, headers=headers)
        assert producer.flush(30) == 0

    def counted() -> str:
        return site.psql("SELECT events FROM totals.totals WHERE partition = 0")

    publish("orders.totals.dlq", 1, "de")
    until(lambda: site.states() == {"open": 1}, "the stranger's")
    told = site.run("dlq", "replay", "--confirm", "1")
    assert told.returncode == 0, told.stdout + told.stderr
    assert site.states() == {"resolved": 1} and counted() == "1"

    # The first of its partition, as the stranger's replay was in its own.
    site.broken.write_text("fr")
    publish("orders", 2, "fr")
    until(lambda: site.states() == {"open": 1, "resolved": 1}, "ours")
    site.broken.unlink()
    told = site.run("dlq", "replay", "--confirm", "1")
    assert told.returncode == 0, told.stdout + told.stderr
    assert site.states() == {"resolved": 2} and counted() == "2"


def test_new_topics_are_found_and_a_second_worker_stands_by(site: Site) -> None:
    site.follow("deadletters")
    site.follow("another")
    producer = Producer({"bootstrap.servers": site.broker})
    producer.produce("someone.else.dlq", b"{}", headers={"dlq-reason": "permanent"})
    assert producer.flush(30) == 0
    until(lambda: site.states("--topic", "someone") == {"open": 1}, "the new topic", limit=10)
    for name in ("deadletters", "another"):
        site.parts[name].kill()
        producer.produce("someone.else.dlq", b"{}", headers={"dlq-reason": "permanent"})
        assert producer.flush(30) == 0
    until(lambda: site.states("--topic", "someone") == {"open": 3}, "those behind the kills")
    assert site.psql("SELECT sum(next_offset) FROM deadletters.positions WHERE topic = 'someone.else.dlq'") == "3"
