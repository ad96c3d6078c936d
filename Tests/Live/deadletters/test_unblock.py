"""What stands in the way is skipped, and what was read is read again."""

from __future__ import annotations

import json
from collections import Counter

from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from site_of_letters import PARTITIONS, Site, delete_records, delete_topic, orders, until


def stuck(site: Site, number: int) -> tuple[str, str]:
    """Where the order of this number lies."""
    (message,) = [m for m in site.read("orders") if dict(m.headers())["ce_id"] == f"order-{number}".encode()]
    return str(message.partition()), str(message.offset())


def skip(site: Site, handler: str, place: tuple[str, str], *words: str) -> tuple[int, str, str]:
    told = site.run("skip", handler, "--topic", "orders", "--partition", place[0], "--offset", place[1],
                    "--reason", "the\x1b[31m office is closed", *words)
    return told.returncode, told.stdout, told.stderr


def test_a_record_that_holds_its_partition_is_skipped(site: Site) -> None:
    site.broken.write_text("stuck")
    site.follow()
    site.handle("clerk")
    site.handle("totals")
    given = orders(60)
    given[7]["country"] = "stuck"
    site.publish(given)
    place = stuck(site, 7)
    behind = len([m for m in site.read("orders") if (str(m.partition()), str(m.offset())) == place or
                  str(m.partition()) == place[0] and m.offset() > int(place[1])])
    until(lambda: len(site.read("orders.filed")) == 60 - behind, "the others")

    # With no record said it tells where the handler stands.
    until(lambda: ["orders", place[0], place[1], str(behind)] in
          [line.split() for line in site.run("skip", "clerk").stdout.splitlines()], "where it stands")
    # The clerk's comes by itself; the totals' stands in a transaction's way.
    for handler in ("clerk", "totals"):
        code, told, said = skip(site, handler, place)
        assert code == 0, told + said
        assert f"skipped: orders/{place[0]}/{place[1]} is the dead letter " in told
    until(lambda: len(site.read("orders.filed")) == 59, "those behind it")
    until(lambda: site.psql("SELECT sum(events) FROM totals.totals") == "59", "those behind it")
    until(lambda: site.states() == {"open": 2}, "both dead letters")
    for letter in site.dlq("list", "--reason", "skipped"):
        assert letter["offset"] == int(place[1]) and letter["event_id"] == "order-7" and letter["stage"] == "skip"
        assert "the\ufffd[31m office is closed" in letter["error"] and "skipped by " in letter["error"]
    assert [line["verb"] for line in site.dlq("audit")][:2] == ["skip", "skip"]

    # It is lost to nobody: mended, it is replayed.
    site.broken.unlink()
    told = site.run("dlq", "replay", "--reason", "skipped", "--confirm", "2")
    assert told.returncode == 0, told.stdout + told.stderr
    assert len(site.read("orders.filed")) == 60 and site.psql("SELECT sum(events) FROM totals.totals") == "60"


def test_a_record_that_waits_for_its_retry_is_skipped(site: Site) -> None:
    site.broken.write_text("frozen")
    site.follow()
    site.handle("shipper")
    given = orders(12)
    for number in (2, 5, 8):
        given[number]["country"] = "frozen"
    site.publish(given)
    until(lambda: len(site.read("orders.shipper.retry.10m")) == 3, "those that wait ten minutes")
    # The last of a partition: those before it go on waiting.
    waits = max(site.read("orders.shipper.retry.10m"), key=lambda message: message.offset())
    place = ["--partition", str(waits.partition()), "--offset", str(waits.offset())]
    told = site.run("skip", "shipper", "--topic", "orders.shipper.retry.10m", *place, "--reason", "no port")
    assert told.returncode == 0 and "is the dead letter " in told.stdout, told.stdout + told.stderr
    until(lambda: site.states() == {"open": 1}, "the dead letter")
    (letter,) = site.dlq("list")
    headers = {name: value.decode() for name, value in waits.headers()}
    assert (letter["reason"], letter["event_id"]) == ("skipped", headers["ce_id"])
    assert (letter["partition"], letter["offset"]) == (int(headers["src-partition"]), int(headers["src-offset"]))
    site.broken.unlink()
    assert site.run("dlq", "replay", "--confirm", "1").returncode == 0
    assert len(site.read("orders.shipped")) == 10
    # The story has the attempts before it: which, where, by whom, how long, and what they died of.
    (page,) = site.dlq("show", letter["id"])
    (line,) = [line["what"] for line in page["story"] if "waits 10m" in line["what"]]
    place = f"orders/{headers['src-partition']}/{headers['src-offset']}"
    assert line.startswith(f"attempt 1 in {place} by worker {headers['retry-worker']}, in "), line
    assert "the port is frozen; waits 10m until 20" in line
    assert page["story"][0]["what"] == "failed for the first time"


def test_a_skip_that_makes_no_sense_is_refused(site: Site) -> None:
    site.follow()
    site.handle("clerk")
    site.publish(orders(9))
    until(lambda: site.committed("clerk") == 9, "all of them")
    code, _, said = skip(site, "clerk", ("0", "0"))
    assert code == 1 and "clerk is past that record" in said
    code, _, said = skip(site, "clerk", ("0", "1000"))
    assert code == 1 and "there is no such record yet" in said
    assert skip(site, "clerk", ("77", "0"))[0] == 1
    code, _, said = skip(site, "nobody", ("0", "0"))
    assert code == 1 and "no topic is read by nobody" in said
    told = site.run("skip", "clerk", "--topic", "orders.priced", "--partition", "0", "--offset", "0", "--reason", "r")
    assert told.returncode == 1 and "clerk does not read orders.priced: it reads orders" in told.stderr
    assert site.run("skip", "clerk", "--topic", "orders", "--partition", "0", "--offset", "0").returncode == 2
    assert skip(site, "clerk", ("x", "0"))[0] == 2

    # Said while nobody works, it is done by whoever comes next.
    site.parts["clerk"].end()
    site.broken.write_text("stuck")
    site.publish([{"order": 9, "amount": 1, "country": "stuck"}], 9)
    place = stuck(site, 9)
    code, told, said = skip(site, "clerk", place, "--wait", "1s")
    assert code == 0 and "noted: no worker of clerk has come to" in told, told + said
    # Until then it can be seen and taken back.
    lines = [line.split() for line in site.run("skip", "clerk").stdout.splitlines()]
    assert ["orders", place[0], place[1], "1"] in lines and ["SKIP", "OF"] == lines[-2][:2]
    assert lines[-1][:3] == ["orders", *place]
    undo = ["skip", "clerk", "--topic", "orders", "--partition", place[0], "--offset", place[1], "--undo"]
    assert "taken back: orders/" in site.run(*undo).stdout
    told = json.loads(site.run("skip", "clerk", "--json").stdout)
    assert told["skips"] == [] and told["standing"] == [
        {"topic": "orders", "partition": int(place[0]), "offset": int(place[1]), "behind": 1}]
    refused = site.run(*undo)
    assert refused.returncode == 1 and "no skip of orders/" in refused.stderr
    assert [line["verb"] for line in site.dlq("audit")] == ["skip --undo", "skip"]
    assert skip(site, "clerk", place, "--wait", "1s", "--json")[1].startswith('{"state":"waiting"')
    site.parts["clerk"].start()
    until(lambda: site.states("--reason", "skipped") == {"open": 1}, "the dead letter")
    until(lambda: site.committed("clerk") == 10, "what is past it")


def test_a_skip_of_what_is_gone_is_forgotten(site: Site) -> None:
    site.follow()
    site.publish(orders(9))
    (first, *_) = [message for message in site.read("orders") if message.offset() == 0]
    code, told, _ = skip(site, "clerk", (str(first.partition()), "0"), "--wait", "0s")
    assert code == 0 and "noted" in told
    assert len(json.loads(site.run("skip", "clerk", "--json").stdout)["skips"]) == 1
    delete_records(site, [TopicPartition("orders", first.partition(), 1)])
    until(lambda: json.loads(site.run("skip", "clerk", "--json").stdout)["skips"] == [], "the skip to be forgotten")
    assert "a skip is forgotten" in (site.folder / "deadletters.log").read_text()

    # Of a topic that is gone too: another one of that name has other records there.
    topic = "orders.shipper.retry.10m"
    producer = Producer({"bootstrap.servers": site.broker})
    producer.produce(topic, b"{}", partition=0)
    assert producer.flush(30) == 0
    told = site.run("skip", "shipper", "--topic", topic, "--partition", "0", "--offset", "0", "--reason", "r", "--wait", "0s")
    assert told.returncode == 0, told.stdout + told.stderr
    delete_topic(site, topic)
    until(lambda: json.loads(site.run("skip", "shipper", "--json").stdout)["skips"] == [], "the skip to be forgotten",
          limit=120)


def test_what_was_read_is_read_again(site: Site) -> None:
    site.broken.write_text("fr")
    site.follow()
    for handler in ("pricer", "totals", "shipper"):
        site.handle(handler)
    site.publish(orders(30) + orders(5, "fr"))
    until(lambda: site.states() == {"open": 15}, "the dead letters")
    for handler in ("pricer", "totals", "shipper"):
        until(lambda: site.committed(handler) == 35, f"{handler} to have read all")

    assert site.run("rewind", "pricer").returncode == 2
    assert site.run("rewind", "pricer", "--since", "1h", "--until", "2h").returncode == 2
    assert "no topic is read by nobody" in site.run("rewind", "nobody", "--since", "1h").stderr
    told = site.run("rewind", "pricer", "--since", "1h", "--until", "30m")
    assert told.returncode == 1 and "nothing of that time was read" in told.stderr
    told = site.run("rewind", "pricer", "--since", "1h", "--dry-run")
    assert told.returncode == 0 and "35 records of orders to orders.pricer.replay, for pricer alone" in told.stdout
    assert site.dlq("jobs") == []

    # Twice, each time everything that is no dead letter, to that handler alone.
    for times in (2, 3):
        told = site.run("rewind", "pricer", "--since", "1h")
        assert told.returncode == 0, told.stdout + told.stderr
        assert "done: 30 of 35 published, 30 done, 0 failed, 5 skipped" in told.stdout
        ends = Counter(dict(message.headers())["ce_id"] for message in site.read("orders.priced"))
        assert len(ends) == 30 and set(ends.values()) == {times}
    # One without a memory, and the worker of the dead letters killed in the middle.
    job = json.loads(site.run("rewind", "shipper", "--since", "1h", "--rate", "20", "--no-wait", "--json").stdout)
    until(lambda: site.dlq("jobs", "show", job["job"])[0]["published"] >= 10, "the middle")
    site.parts["deadletters"].kill()
    assert site.run("dlq", "jobs", "follow", job["job"]).returncode == 0
    ends = Counter(dict(message.headers())["ce_id"] for message in site.read("orders.shipped"))
    assert len(ends) == 30 and set(ends.values()) == {2}
    # What a handler with state has added is not added twice.
    told = site.run("rewind", "totals", "--since", "1h")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "30  passed over" in told.stdout
    assert site.psql("SELECT sum(events) FROM totals.totals") == "30"
    assert site.states() == {"open": 15}
    assert [line["verb"] for line in site.dlq("audit")] == ["rewind"] * 4

    # The dead letters are replayed after all that, and pass the memory too.
    site.broken.unlink()
    told = site.run("dlq", "replay", "--confirm", "15")
    assert told.returncode == 0, told.stdout + told.stderr
    assert site.psql("SELECT sum(events) FROM totals.totals") == "35"
    ends = Counter(dict(message.headers())["ce_id"] for message in site.read("orders.priced"))
    assert sorted(set(ends.values())) == [1, 3] and len(ends) == 35


def test_what_another_tool_resets_is_answered_by_the_memory(site: Site) -> None:
    site.handle("pricer")
    site.publish(orders(30))
    until(lambda: site.committed("pricer") == 30, "all of them")
    site.parts["pricer"].end()
    admin = AdminClient({"bootstrap.servers": site.broker})
    to = [TopicPartition("orders", number, 0) for number in range(PARTITIONS)]

    def reset() -> bool:
        (future,) = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions("flotilla.pricer", to)]).values()
        return future.exception() is None and all(place.error is None for place in future.result().topic_partitions)

    # As kafka-consumer-groups --reset-offsets --to-earliest; the group has to have forgotten its member.
    until(reset, "the reset")
    assert site.committed("pricer") == 0
    site.parts["pricer"].start()
    until(lambda: site.committed("pricer") == 30, "all of them again")
    assert len(site.read("orders.priced")) == 30
