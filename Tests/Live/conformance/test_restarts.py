"""What the broker has acknowledged is there after its restart, and clients go on across it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker import Broker
from clients.base import Client, ConsumerOptions, Outgoing, ProducerOptions, Refused
from clients.confluent import ConfluentAdmin
from fixtures import Keep
from proxy import ForgetfulProxy
from reading import nothing_more, read
from waiting import eventually

HOW: dict[str, Callable[[Broker], None]] = {"SIGTERM": Broker.stop, "SIGKILL": Broker.kill}


@pytest.mark.parametrize("how", HOW)
def test_everything_is_there_after_a_restart(client: Client, own_broker: Broker, keep: Keep, how: str) -> None:
    """Records, topics, configs, partitions added later, committed offsets with metadata; then it goes on from there."""
    client = type(client)(own_broker.address)
    steward = keep(ConfluentAdmin(own_broker.address))
    steward.create_topic("kept", 2, config={"retention.ms": "3600000"})
    steward.create_topic("gone", 1)
    producer = client.producer()
    producer.send([Outgoing("kept", b"%d" % i, b"k", 0, (("h", b"v"),)) for i in range(100)]).deliveries()
    producer.close()
    consumer = client.consumer(ConsumerOptions(group="readers"))
    try:
        consumer.assign([("kept", 0, 0), ("kept", 1, 0)])
        read(consumer, 100)
        consumer.commit({("kept", 0): 60, ("kept", 1): 0}, "so far")
    finally:
        consumer.close()
    steward.alter_config("kept", {"max.message.bytes": "123456"})
    steward.create_partitions("kept", 3)
    steward.delete_topic("gone")
    steward.delete_records(("kept", 0), 10)

    HOW[how](own_broker)
    own_broker.start()

    after = keep(ConfluentAdmin(own_broker.address))
    assert after.topics() == {"kept": 3}
    config = after.config("kept")
    assert (config["retention.ms"], config["max.message.bytes"]) == ("3600000", "123456")
    assert after.committed("readers") == {("kept", 0): 60, ("kept", 1): 0}
    producer = keep(client.producer())
    producer.send([Outgoing("kept", b"100", None, 0), Outgoing("kept", b"new", None, 2)]).deliveries()
    again = keep(client.consumer(ConsumerOptions(group="readers")))
    again.subscribe(["kept"])
    values = [(record.partition, record.value) for record in read(again, 42)]
    assert [value for partition, value in values if partition == 0] == [b"%d" % i for i in range(60, 101)]
    assert [value for partition, value in values if partition == 2] == [b"new"]
    assert (again.committed(("kept", 0)) or (0, None))[1] in (None, "so far")
    whole = keep(client.consumer())
    whole.assign([("kept", 0, 10)])
    assert [record.offset for record in read(whole, 91)] == list(range(10, 101))


@pytest.mark.parametrize("how", HOW)
def test_a_reader_goes_on_across_a_restart(client: Client, own_broker: Broker, keep: Keep, how: str) -> None:
    """The same consumer object, in its group: no record missed, none twice, no error that it would not get over."""
    client = type(client)(own_broker.address)
    keep(ConfluentAdmin(own_broker.address)).create_topic("stream", 1)
    producer = keep(client.producer())
    producer.send([Outgoing("stream", b"%d" % i, None, 0) for i in range(50)]).deliveries()
    consumer = keep(client.consumer(ConsumerOptions(group="readers")))
    consumer.subscribe(["stream"])
    offsets = [record.offset for record in read(consumer, 50)]
    consumer.commit({("stream", 0): 50})

    HOW[how](own_broker)
    own_broker.start()

    sent: list[object] = []
    writing = threading.Thread(
        target=lambda: sent.extend(producer.send([Outgoing("stream", b"%d" % i, None, 0) for i in range(50, 100)]).all)
    )
    writing.start()

    def all_read() -> bool:
        try:
            offsets.extend(record.offset for record in consumer.poll(100, 0.5))
        except Refused as refusal:
            # librdkafka tells of broken connections; anything else is the broker's.
            assert refusal.code is None or refusal.code < 0, refusal
        return len(offsets) >= 100

    eventually("the reader has read on", all_read)
    writing.join()
    assert not [answer for answer in sent if isinstance(answer, Refused)]
    assert offsets == list(range(100))

    def committed() -> bool:
        try:
            consumer.poll(1, 0.1)
            consumer.commit({("stream", 0): 100})
            return True
        except Refused:
            return False

    eventually("the reader commits after the restart", committed)


def test_a_writer_goes_on_across_restarts(client: Client, own_broker: Broker, keep: Keep) -> None:
    """Idempotent and killed under: every record acknowledged is there once, in the order of sending."""
    client = type(client)(own_broker.address)
    keep(ConfluentAdmin(own_broker.address)).create_topic("stream", 1)
    producer = keep(client.producer(ProducerOptions(linger_ms=1)))
    producer.send([Outgoing("stream", b"warm", None, 0)]).deliveries()
    verdicts: list[object] = []
    waves = 12

    def write() -> None:
        for wave in range(waves):
            records = [Outgoing("stream", b"%d" % (wave * 1000 + i), None, 0) for i in range(1000)]
            verdicts.extend(producer.send(records).all)

    writing = threading.Thread(target=write)
    writing.start()
    for kill in range(2):
        eventually("some records are written", lambda least=(kill + 1) * 2000: len(verdicts) >= least)
        own_broker.kill()
        own_broker.start()
    writing.join()
    refused = [verdict for verdict in verdicts if isinstance(verdict, Refused)]
    assert not refused, refused[:3]
    consumer = keep(client.consumer())
    consumer.assign([("stream", 0, 1)])
    assert [record.value for record in read(consumer, waves * 1000)] == [b"%d" % i for i in range(waves * 1000)]
    nothing_more(consumer)


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[ForgetfulProxy]:
    """A proxy that loses answers, in front of a broker that advertises it."""
    with ForgetfulProxy(every=3) as proxy:
        broker = Broker(tmp_path, advertise=proxy.address)
        broker.start()
        proxy.upstream = broker.port
        yield proxy
        broker.kill()


def test_an_answer_lost_on_its_way_duplicates_nothing(client: Client, forgetful: ForgetfulProxy, keep: Keep) -> None:
    """Connections break after the broker wrote and before the producer knows: its retry is recognised as such."""
    client = type(client)(forgetful.address)
    keep(ConfluentAdmin(forgetful.address)).create_topic("once", 1)
    producer = keep(client.producer(ProducerOptions(linger_ms=1)))
    total = 3000
    for start in range(0, total, 250):
        records = [Outgoing("once", b"%d" % i, None, 0) for i in range(start, start + 250)]
        producer.send(records).deliveries()
    assert forgetful.lost > 0, "no answer was lost: the test tested nothing"
    consumer = keep(client.consumer())
    consumer.assign([("once", 0, 0)])
    assert [record.value for record in read(consumer, total)] == [b"%d" % i for i in range(total)]
    nothing_more(consumer)
