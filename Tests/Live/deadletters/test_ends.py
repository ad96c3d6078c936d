"""Every replay comes to its end: what cannot be published, what nobody tells of, what expires while it waits."""

from __future__ import annotations

import json

import pytest
from confluent_kafka import Producer, TopicPartition

from ports import free_port
from site_of_letters import PARTITIONS, Site, configure, delete_records, orders, until


def publish(site: Site, topic: str, number: int, headers: list[tuple[str, bytes]], body: dict | None = None,
            partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": site.broker, "message.max.bytes": 16 << 20})
    event = [("ce_specversion", "1.0"), ("ce_id", f"order-{number}"), ("ce_source", "/shop"), ("ce_type", "order.created"),
             ("content-type", "application/json")]
    order = {"order": number, "amount": 100, "country": "fr"} | (body or {})
    producer.produce(topic, key=f"customer {number}", value=json.dumps(order).encode(), partition=partition,
                     headers=event + headers)
    assert producer.flush(60) == 0


def working(site: Site, handler: str) -> None:
    site.handle(handler)
    until(lambda: "INFO working" in (site.folder / f"{handler}.log").read_text(), "the handler, which checks its topics")


def test_large_headers_that_were_left_out_come_from_the_source(site: Site) -> None:
    site.broken.write_text("fr")
    site.follow()
    working(site, "pricer")
    configure(site, "orders.pricer.dlq", "max.message.bytes", 4096)
    cart = b"c" * 6000
    for number in range(2):
        publish(site, "orders", number, [("x-cart", cart), ("x-small", b"1"), ("x-small", b"2")], partition=number)
    until(lambda: site.states() == {"open": 2}, "the dead letters")
    for message in site.read("orders.pricer.dlq"):
        names = dict(message.headers())
        assert "x-cart" not in names and names["dlq-headers"] == b"omitted" and message.value()
    letters = {letter["event_id"]: letter for letter in site.dlq("list")}
    (page,) = site.dlq("show", letters["order-0"]["id"])
    assert page["headers"]["x-cart"] == cart.decode() and page["headers"]["x-small"] == ["1", "2"]
    assert "this is from orders" in page["headers_note"] and page["body"]["order"] == 0 and "body_note" not in page

    # One of them is gone from there: it is told, and it is not replayed as another record than it was.
    delete_records(site, [TopicPartition("orders", 1, 1)])
    (page,) = site.dlq("show", letters["order-1"]["id"])
    assert "is no more in orders" in page["headers_note"] and "x-cart" not in page["headers"]
    site.broken.unlink()
    told = site.run("dlq", "replay", "--confirm", "2")
    assert told.returncode == 1 and "1 resolved, 0 failed again, 1 skipped" in told.stdout, told.stdout + told.stderr
    assert "its large headers did not fit" in told.stdout
    assert site.states() == {"open": 1, "resolved": 1}
    (message,) = site.read("orders.pricer.replay")
    assert [value for name, value in message.headers() if name in ("x-cart", "x-small")] == [cart, b"1", b"2"]
    assert not any(name == "dlq-headers" for name, _ in message.headers())
    lines = {line["event_id"]: line for line in map(json.loads, site.run("dlq", "export").stdout.splitlines())}
    assert lines["order-1"]["headers_gone"] and lines["order-0"]["headers"]["x-cart"] == cart.decode()


def test_what_cannot_be_published_holds_up_nothing(site: Site) -> None:
    site.broken.write_text("fr")
    site.follow()
    working(site, "pricer")
    for topic, most in [("orders", 16 << 20), ("orders.pricer.dlq", 16384), ("orders.pricer.replay", 16 << 20)]:
        configure(site, topic, "max.message.bytes", most)
    # The first of its partition is larger than its target will take; the last is as large as a topic may want it.
    publish(site, "orders", 0, [], {"notes": "n" * 12_000})
    for number in (1, 2):
        publish(site, "orders", number, [])
    publish(site, "orders", 3, [], {"notes": "n" * (10 << 20)}, partition=1)
    until(lambda: site.states() == {"open": 4}, "the dead letters")
    told = site.run("dlq", "replay", "--type", "order.created", "--limit", "1", "--dry-run", "--json")
    assert json.loads(told.stdout)["fit"] == 1
    site.broken.unlink()
    large = next(letter for letter in site.dlq("list") if letter["event_id"] == "order-3")
    told = site.run("dlq", "replay", "--id", large["id"], "--confirm", "1")
    assert told.returncode == 0, told.stdout + told.stderr

    configure(site, "orders.pricer.replay", "max.message.bytes", 4096)
    # A stranger's, that says it were of a partition that there is not.
    publish(site, "orders.pricer.dlq", 4, [("src-topic", b"orders"), ("src-partition", b"999"), ("src-offset", b"0")])
    until(lambda: site.states() == {"open": 4, "resolved": 1}, "the stranger's")
    told = site.run("dlq", "replay", "--confirm", "4")
    assert told.returncode == 1 and "2 resolved, 0 failed again, 2 skipped" in told.stdout, told.stdout + told.stderr
    assert "orders.pricer.replay has no partition 999" in told.stdout and "cannot publish" in told.stdout
    assert site.states() == {"open": 2, "resolved": 3}
    assert {letter["event_id"] for letter in site.dlq("list", "--state", "open")} == {"order-0", "order-4"}
    assert all(letter["replays"] == 0 for letter in site.dlq("list", "--state", "open"))


def test_what_nobody_tells_the_end_of_is_given_up(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.publish(orders(6))
    until(lambda: site.states() == {"open": 6}, "the dead letters")
    site.broken.unlink()
    site.parts["pricer"].end()

    def replay() -> str:
        (job,) = site.dlq("replay", "--confirm", "6", "--no-wait")
        until(lambda: site.states() == {"replayed": 6}, "what is published")
        return job["job"]

    def is_done(job: str) -> bool:
        (told,) = site.dlq("jobs", "show", job)
        return (told["state"], told["skipped"]) == ("done", 6)

    # Nobody may give up what the handler would still come to.
    job = replay()
    assert site.run("dlq", "restore", "--confirm", "6").returncode == 1
    told = site.run("dlq", "restore", "--state", "replayed", "--confirm", "6")
    assert told.returncode == 1 and "6 in orders.pricer.replay" in told.stderr and "Start pricer" in told.stderr, told.stderr
    assert site.states() == {"replayed": 6}
    # What it has handled, and nobody has heard of, may be given up.
    site.parts["deadletters"].end()
    site.parts["pricer"].start()
    until(lambda: len(site.read("orders.priced")) == 6 and site.committed("pricer", "orders.pricer.replay") == 6, "its end")
    site.parts["pricer"].end()
    delete_records(site, [TopicPartition("flotilla.outcomes", number, -1) for number in range(site.partitions("flotilla.outcomes"))])
    site.parts["deadletters"].start()
    (told,) = site.dlq("restore", "--state", "replayed", "--confirm", "6")
    assert told == {"restored": 6}
    assert site.states() == {"open": 6}
    until(lambda: is_done(job), "the end of the job")
    assert site.dlq("audit")[0]["verb"] == "restore"
    # Its topic lets go of it before anybody comes.
    job = replay()
    delete_records(site, [TopicPartition("orders.pricer.replay", number, -1) for number in range(PARTITIONS)])
    site.parts["deadletters"].kill()
    until(lambda: site.states() == {"open": 6}, "what nobody will read")
    until(lambda: is_done(job), "the end of the job")
    assert "nobody told what became of them" in (site.folder / "deadletters.log").read_text()
    # And it is replayed once more, and told of.
    replay()
    site.parts["pricer"].start()
    until(lambda: site.states() == {"resolved": 6}, "what is told after all")


@pytest.mark.parametrize("handler, topic", [("pricer", "orders.priced"), ("shipper", "orders.shipped")])
def test_what_waits_for_its_handler_is_not_handled_twice(site: Site, handler: str, topic: str) -> None:
    """Nobody runs the handler, and somebody who wants to see an end gives up, replays again, and then starts it."""
    site.broken.write_text("")
    site.follow()
    site.handle(handler)
    site.publish(orders(6))
    until(lambda: site.states() == {"open": 6} and site.committed(handler) == 6, "the dead letters")
    site.broken.unlink()
    site.parts[handler].end()
    site.dlq("replay", "--confirm", "6", "--no-wait")
    until(lambda: site.states() == {"replayed": 6}, "what is published")
    site.run("dlq", "restore", "--state", "replayed", "--confirm", "6")
    site.run("dlq", "replay", "--confirm", "6", "--no-wait")
    site.parts[handler].start()
    until(lambda: site.states() == {"resolved": 6}, "what is handled")
    assert site.dlq("jobs")[0]["resolved"] == 6
    until(lambda: site.committed(handler, f"orders.{handler}.replay") == len(site.read(f"orders.{handler}.replay")), "all of it")
    ends = [dict(message.headers())["ce_id"] for message in site.read(topic)]
    assert len(ends) == len(set(ends)) == 6, ends


@pytest.mark.parametrize("to_source", [False, True])
@pytest.mark.parametrize("name", ["", "red"])
def test_only_what_itself_waits_for_its_next_try_is_held_back(site: Site, name: str, to_source: bool) -> None:
    """By the copies that a worker wrote; of two letters one waits for its next try."""
    prefix = f"{name}." if name else ""
    if name:
        site.environment["FLOTILLA_NAMESPACE"] = name
        assert site.run("topics", "apply").returncode == 0
    site.broken.write_text("frozen")
    site.follow()
    working(site, "shipper")
    producer = Producer({"bootstrap.servers": site.broker})
    for number, country in enumerate(["frozen", "de"]):
        headers = {"ce_specversion": "1.0", "ce_id": f"order-{number}", "ce_source": "/shop", "ce_type": "order.created",
                   "content-type": "application/json", "src-topic": "orders", "src-partition": "0", "src-offset": str(number)}
        producer.produce(f"{prefix}orders.shipper.dlq", key=str(number), partition=0, headers=headers,
                         value=json.dumps({"order": number, "amount": 1, "country": country}).encode())
    producer.flush(10)
    until(lambda: site.states() == {"open": 2}, "the dead letters")
    site.dlq("replay", "--confirm", "2", "--no-wait", *(["--to-source"] if to_source else []))
    until(lambda: len(site.read(f"{prefix}orders.shipper.retry.10m")) == 1, "the one that waits")
    until(lambda: len(site.read(f"{prefix}orders.shipped")) == 1, "the other")
    after = {"replayed": 2} if to_source else {"replayed": 1, "resolved": 1}
    until(lambda: site.states() == after, "what was told")
    target = "orders" if to_source else "orders.shipper.replay"
    until(lambda: site.committed("shipper", prefix + target) == 2, "what is committed")
    site.parts["shipper"].end()
    told = site.run("dlq", "restore", "--state", "replayed", "--confirm", "2")
    if to_source:
        # Nobody tells the end of what went there; the one that is handled is opened, as somebody wants it.
        assert told.returncode == 0 and site.states() == {"open": 1, "replayed": 1}, told.stderr
    else:
        assert told.returncode != 0 and site.states() == after, told.stdout
    assert f"1 in {prefix}{target}" in told.stdout + told.stderr, told.stdout + told.stderr
    waiting = {letter["event_id"] for letter in site.dlq("list", "--state", "replayed")}
    assert waiting == {"order-0"}


def test_a_stranger_s_record_that_is_traced_is_replayed_whole(site: Site) -> None:
    """Its first attempt gives it a trace, which its copies have and the record does not."""
    site.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    site.broken.write_text("fr")
    site.follow()
    working(site, "pricer")
    configure(site, "orders.pricer.dlq", "max.message.bytes", 4096)
    cart = b"c" * 6000
    publish(site, "orders", 0, [], {"notes": "n" * 12_000})
    publish(site, "orders", 1, [("x-cart", cart)])
    until(lambda: site.states() == {"open": 2}, "the dead letters")
    copies = [dict(message.headers()) for message in site.read("orders.pricer.dlq")]
    assert all("traceparent" in headers for headers in copies), copies
    assert {"dlq-body", "dlq-headers"} <= {name for headers in copies for name in headers}
    for letter in site.dlq("list"):
        (page,) = site.dlq("show", letter["id"])
        assert page["body"]["country"] == "fr", page
    assert not any(line.get("body_gone") or line.get("headers_gone")
                   for line in map(json.loads, site.run("dlq", "export").stdout.splitlines()))
    site.broken.unlink()
    told = site.run("dlq", "replay", "--confirm", "2")
    assert told.returncode == 0 and "2 resolved" in told.stdout, told.stdout + told.stderr
    replayed = {dict(message.headers())["ce_id"]: message for message in site.read("orders.pricer.replay")}
    assert len(replayed[b"order-0"].value()) > 12_000 and dict(replayed[b"order-1"].headers())["x-cart"] == cart


def test_what_a_replay_has_chosen_is_watched(site: Site) -> None:
    site.broken.write_text("")
    site.follow()
    site.handle("pricer")
    site.publish(orders(12))
    until(lambda: site.states() == {"open": 12}, "the dead letters")
    told = site.run("dlq", "replay", "--canary", "3", "--confirm", "12")
    assert told.returncode == 1 and "stopped" in told.stdout
    assert site.states() == {"open": 3, "replaying": 9}
    (job,) = site.dlq("jobs")
    site.parts["deadletters"].end()
    # Less than 72 hours, of which more than half are over.
    configure(site, "orders.pricer.dlq", "retention.ms", 71 * 3_600_000)
    site.psql("UPDATE deadletters.entries SET copied_at = now() - interval '36 hours'")
    site.parts["deadletters"].start()
    log = site.folder / "deadletters.log"
    until(lambda: "a replay stands" in log.read_text(), "the warnings")
    (line,) = [line for line in log.read_text().splitlines() if "deleted by their topic's retention" in line]
    assert "count=12" in line, line
    (line,) = [line for line in log.read_text().splitlines() if "a replay stands" in line]
    assert job["job"] in line and "count=9" in line and "failed again" in line, line

    site.parts["deadletters"].end()
    delete_records(site, [TopicPartition("orders.pricer.dlq", number, -1) for number in range(PARTITIONS)])
    site.parts["deadletters"].start()
    until(lambda: site.states() == {"expired": 12}, "what is gone")
    site.broken.unlink()
    site.dlq("jobs", "resume", job["job"])
    told = site.run("dlq", "jobs", "follow", job["job"])
    assert "its body is gone" in told.stdout, told.stdout
    assert site.states() == {"expired": 12}


def test_what_died_and_has_expired_is_read_again_and_counted(site: Site) -> None:
    """A handler with state has never applied it: to pass it over as a repeat would lose it."""
    site.broken.write_text("fr")
    site.follow()
    site.handle("totals")
    site.publish(orders(10) + orders(5, "fr"))
    until(lambda: site.states() == {"open": 5}, "the dead letters")
    until(lambda: site.committed("totals") == 15, "all to be read")
    delete_records(site, [TopicPartition("orders.totals.dlq", number, -1) for number in range(PARTITIONS)])
    site.parts["deadletters"].kill()
    until(lambda: site.states() == {"expired": 5}, "what is gone")
    assert site.psql("SELECT sum(events) FROM totals.totals") == "10"
    site.broken.unlink()
    for passed_over in (10, 15):
        told = site.run("rewind", "totals", "--since", "1h")
        assert told.returncode == 0 and f"{passed_over}  passed over" in told.stdout, told.stdout + told.stderr
        assert site.psql("SELECT sum(events) FROM totals.totals") == "15"
        assert site.states() == {"resolved": 5}
