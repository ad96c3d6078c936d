"""What a replay meets at its edges: the source, bodies that were left out, topics that are gone, retention, another replay."""

from __future__ import annotations

import json
import subprocess
from collections import Counter

from confluent_kafka import TopicPartition

from site_of_letters import PARTITIONS, Site, configure, delete_records, delete_topic, orders, until


def test_to_the_source_it_goes_to_everyone(site: Site) -> None:
    site.broken.write_text("fr")
    site.follow()
    site.handle("pricer")
    site.publish(orders(4) + orders(6, "fr"))
    until(lambda: site.states() == {"open": 6}, "the dead letters")
    site.broken.unlink()
    # Handlers that begin now and have not seen them: everyone who reads the source gets what goes there.
    refused = site.run("dlq", "replay", "--to-source", "--canary", "3", "--confirm", "6")
    assert refused.returncode == 2 and "nobody tells" in refused.stderr
    told = site.run("dlq", "replay", "--to-source", "--dry-run")
    assert told.returncode == 0
    assert "to orders, for pricer, and again for clerk, shipper, totals" in told.stdout, told.stdout
    assert len(site.read("orders")) == 10
    told = site.run("dlq", "replay", "--to-source", "--confirm", "6")
    assert told.returncode == 0 and "done: 6 of 6 published" in told.stdout, told.stdout + told.stderr
    assert site.states() == {"replayed": 6}
    assert len(site.read("orders")) == 16 and not site.read("orders.pricer.replay")
    site.handle("shipper")
    until(lambda: len(site.read("orders.shipped")) == 16, "everyone's share")
    # Who failed them and remembers that takes them for repeats.
    until(lambda: site.committed("pricer") == 16, "the handler that failed them")
    assert len(site.read("orders.priced")) == 4


def test_a_body_that_was_left_out_comes_from_the_source(site: Site) -> None:
    site.broken.write_text("fr")
    site.follow()
    site.handle("pricer")
    until(lambda: "INFO working" in (site.folder / "pricer.log").read_text(), "the handler, which checks its topics")
    configure(site, "orders.pricer.dlq", "max.message.bytes", 4096)
    site.publish([{"order": number, "amount": 100, "country": "fr", "notes": "n" * 20_000,
                   "customer": {"mail": "ada@example.com"}} for number in range(3)])
    until(lambda: site.states() == {"open": 3}, "the dead letters")
    assert all(message.value() is None for message in site.read("orders.pricer.dlq"))
    for letter in site.dlq("list"):
        (page,) = site.dlq("show", letter["id"])
        assert page["headers"]["dlq-body"] == "omitted"
        assert page["body"]["notes"] == "n" * 20_000 and page["body"]["customer"]["mail"] == "(masked)"
        assert "this is from orders" in page["body_note"]
    lines = [json.loads(line) for line in site.run("dlq", "export").stdout.splitlines()]
    assert all(len(line["body"]["notes"]) == 20_000 for line in lines)
    # One of them is gone from there too.
    gone = site.dlq("list")[0]
    delete_records(site, [TopicPartition("orders", gone["partition"], gone["offset"] + 1)])
    left = sum(1 for message in site.read("orders"))
    (page,) = site.dlq("show", gone["id"])
    assert page["body"] is None and "is no more in orders" in page["body_note"]

    site.broken.unlink()
    told = site.run("dlq", "replay", "--confirm", "3")
    assert told.returncode == 1, told.stdout + told.stderr
    assert f"{left} resolved, 0 failed again, {3 - left} skipped" in told.stdout and "its body is gone" in told.stdout
    assert site.states() == {"resolved": left, "expired": 3 - left}
    assert len(site.read("orders.priced")) == left


def test_retention_is_warned_of_and_takes_what_is_left(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.publish(orders(12))
    until(lambda: site.states() == {"open": 12}, "the dead letters")
    log = site.folder / "deadletters.log"
    assert "deleted by their topic's retention" not in log.read_text()
    site.parts["deadletters"].end()
    # In 71 hours they are gone; in 73 hours nobody is told, nor in the first half of what a topic keeps less than that.
    configure(site, "orders.pricer.dlq", "retention.ms", 7 * 24 * 3_600_000)
    site.psql("UPDATE deadletters.entries SET copied_at = now() - interval '97 hours'")
    site.parts["deadletters"].start()
    until(lambda: "will soon be deleted by their topic's retention" in log.read_text(), "the warning")
    (line,) = [line for line in log.read_text().splitlines() if "deleted by their topic's retention" in line]
    assert "orders.pricer.dlq" in line and "count=12" in line, line
    site.parts["deadletters"].end()

    delete_records(site, [TopicPartition("orders.pricer.dlq", number, -1) for number in range(PARTITIONS)])
    site.parts["deadletters"].start()
    until(lambda: site.states() == {"expired": 12}, "what is gone")
    letter = site.dlq("list", "--state", "expired")[0]
    assert "gone: the retention of orders.pricer.dlq has deleted it" in site.run("dlq", "show", letter["id"]).stdout
    refused = site.run("dlq", "replay", "--confirm", "12")
    assert refused.returncode == 1 and "none that is open fits" in refused.stderr


def test_a_target_that_is_gone_stops_the_job(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.publish(orders(8))
    until(lambda: site.states() == {"open": 8}, "the dead letters")
    site.broken.unlink()
    # The job is made, and then its target goes.
    site.parts["deadletters"].end()
    (job,) = site.dlq("replay", "--confirm", "8", "--no-wait")
    site.parts["pricer"].end()
    delete_topic(site, "orders.pricer.replay")
    refused = site.run("dlq", "replay", "--confirm", "8")
    assert refused.returncode == 1 and "none that is open fits" in refused.stderr
    site.parts["deadletters"].start()
    told = site.run("dlq", "jobs", "follow", job["job"])
    assert told.returncode == 1 and "stopped (there is no orders.pricer.replay/" in told.stdout, told.stdout + told.stderr
    assert site.dlq("jobs", "cancel", job["job"])[0]["state"] == "cancelled"
    assert site.states() == {"open": 8}
    refused = site.run("dlq", "replay", "--confirm", "8")
    assert refused.returncode == 1 and "there is no topic orders.pricer.replay to replay to" in refused.stderr
    assert "topics apply makes it" in refused.stderr

    assert site.run("topics", "apply").returncode == 0
    site.parts["pricer"].start()
    told = site.run("dlq", "replay", "--confirm", "8")
    assert told.returncode == 0, told.stdout + told.stderr
    assert site.states() == {"resolved": 8} and len(site.read("orders.priced")) == 8


def test_two_replays_at_once_share_what_there_is(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("shipper")
    site.publish(orders(200))
    until(lambda: site.states() == {"open": 200}, "the dead letters")
    site.broken.unlink()
    refused = site.run("dlq", "replay", "--confirm", "199")
    assert refused.returncode == 1 and "200 fit, and 199 are confirmed: nothing has changed" in refused.stderr
    assert site.dlq("jobs") == []
    words = [site.parts["deadletters"].command[0], "dlq", "replay", "--confirm", "200", "--rate", "2000"]
    both = [subprocess.Popen(words, env=site.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], said
    assert site.states() == {"resolved": 200} and len(site.dlq("jobs")) == 1
    ends = Counter(dict(message.headers())["ce_id"] for message in site.read("orders.shipped"))
    assert len(ends) == 200 and set(ends.values()) == {1}


def test_a_small_replay_that_fails_again_stops_too(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.publish(orders(10))
    until(lambda: site.states() == {"open": 10}, "the dead letters")
    told = site.run("dlq", "replay", "--confirm", "10", "--rate", "2")
    assert told.returncode == 1 and "failed again): " in told.stdout, told.stdout + told.stderr
    (job,) = site.dlq("jobs")
    assert job["state"] == "stopped" and 5 <= job["failed"] <= job["published"] < 10
    assert "no tax is known" not in job["reason"] and "failed again" in job["reason"]


def test_what_no_topic_takes_is_not_told_done(site: Site) -> None:
    """Its output is handed over and refused: it is not handled, whatever the handler thought."""
    site.follow()
    site.handle("pricer")
    until(lambda: "INFO working" in (site.folder / "pricer.log").read_text(), "the handler")
    configure(site, "orders.priced", "max.message.bytes", 100)
    site.publish(orders(20))
    until(lambda: site.states() == {"open": 20}, "the dead letters")
    told = site.run("dlq", "replay", "--confirm", "20", "--canary", "5")
    assert told.returncode == 1 and "failed again" in told.stdout, told.stdout + told.stderr
    (job,) = site.dlq("jobs")
    assert (job["state"], job["published"], job["resolved"], job["failed"]) == ("stopped", 5, 0, 5), job
    assert job["reason"] == "of the first 5, 5 failed again"
    # As it stands they wait for whoever looks at the job, and the five are open again.
    until(lambda: site.states() == {"open": 5, "replaying": 15}, "the five")
    assert site.dlq("jobs", "cancel", job["job"])[0]["state"] == "cancelled"
    configure(site, "orders.priced", "max.message.bytes", 1_000_000)
    told = site.run("dlq", "replay", "--confirm", "20")
    assert told.returncode == 0, told.stdout + told.stderr
    until(lambda: site.states() == {"resolved": 20}, "all to be handled")
    assert len(site.read("orders.priced")) == 20
    assert [line["verb"] for line in site.dlq("audit")] == ["replay", "jobs cancel", "replay"]


def test_what_dies_again_is_told_dead_when_its_letter_is_there(site: Site) -> None:
    """Its topic takes no copy for a while: until then nobody knows how the replay ends."""
    site.broken.write_text("fr")
    site.follow()
    site.handle("pricer")
    site.publish(orders(3, "fr"))
    until(lambda: site.states() == {"open": 3}, "the dead letters")
    configure(site, "orders.pricer.dlq", "max.message.bytes", 100)
    words = [site.parts["deadletters"].command[0], "dlq", "replay", "--confirm", "3"]
    replay = subprocess.Popen(words, env=site.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until(lambda: "stopped: a dead letter cannot be written" in (site.folder / "pricer.log").read_text(), "the worker")
        until(lambda: site.states() == {"replayed": 3}, "all to be published")
        assert site.read("flotilla.outcomes") == []
        configure(site, "orders.pricer.dlq", "max.message.bytes", 1_000_000)
        said, _ = replay.communicate(timeout=120)
    finally:
        replay.kill()
    assert replay.returncode == 1 and "failed again" in said, said
    until(lambda: site.states() == {"open": 3}, "the dead letters of the replay")
    assert [json.loads(message.value())["outcome"] for message in site.read("flotilla.outcomes")] == ["dead:permanent"] * 3
