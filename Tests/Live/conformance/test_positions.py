"""Where a reader stands: seeks by offset and by time, watermarks, commits with metadata, pauses."""

from __future__ import annotations

import random

import pytest

from broker import Broker
from clients.base import Admin, Client, Code, ConsumerOptions, Outgoing, ProducerOptions, Refused
from clients.confluent import ConfluentProducer
from fixtures import Keep, Topic
from reading import read
from waiting import eventually

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
BASE = 1_700_000_000_000
STEP = 10
COUNT = 200
SEED = 20231114


@pytest.fixture(scope="session")
def timed(steward: Admin, broker: Broker) -> tuple[str, list[int]]:
    """A topic with a partition a codec, each in two big batches with steady times, and one with shuffled times."""
    topic = "positions-timed"
    # The times are long past: without this, retention would take the records.
    steward.create_topic(topic, len(CODECS) + 1, config={"retention.ms": "-1"})
    shuffled = [BASE + i * STEP for i in range(COUNT)]
    random.Random(SEED).shuffle(shuffled)
    for partition, codec in enumerate((*CODECS, "lz4")):
        times = [BASE + i * STEP for i in range(COUNT)] if partition < len(CODECS) else shuffled
        records = [Outgoing(topic, b"%d" % i, None, partition, (), time) for i, time in enumerate(times)]
        producer = ConfluentProducer(broker.address, ProducerOptions(compression=codec, linger_ms=100))
        producer.send(records[: COUNT // 2]).deliveries()
        producer.send(records[COUNT // 2 :]).deliveries()
        producer.close()
    return topic, shuffled


def test_offsets_by_time(client: Client, keep: Keep, timed: tuple[str, list[int]]) -> None:
    """Exact, also inside compressed batches: the first record at or after the time."""
    topic, _ = timed
    consumer = keep(client.consumer())
    for partition in range(len(CODECS)):
        for index in (0, 1, 57, COUNT // 2 - 1, COUNT // 2, COUNT - 1):
            assert consumer.offset_for_time((topic, partition), BASE + index * STEP) == index
        assert consumer.offset_for_time((topic, partition), BASE + 57 * STEP - 3) == 57
        assert consumer.offset_for_time((topic, partition), BASE - 86_400_000) == 0
        assert consumer.offset_for_time((topic, partition), BASE + COUNT * STEP) is None


def test_offsets_by_time_when_times_are_out_of_order(client: Client, keep: Keep, timed: tuple[str, list[int]]) -> None:
    topic, times = timed
    partition = len(CODECS)
    consumer = keep(client.consumer())
    for wanted in (BASE, BASE + 50 * STEP, BASE + 190 * STEP - 1, max(times)):
        expected = next(offset for offset, time in enumerate(times) if time >= wanted)
        assert consumer.offset_for_time((topic, partition), wanted) == expected, f"seed {SEED}, time {wanted}"


def test_seeks(client: Client, keep: Keep, timed: tuple[str, list[int]]) -> None:
    """Offsets inside a batch, backwards and forwards, the beginning, the end."""
    topic, _ = timed
    consumer = keep(client.consumer())
    for partition in (0, 3):
        consumer.assign([(topic, partition, 0)])
        assert read(consumer, 1)[0].offset == 0
        for offset in (150, 7, COUNT - 1):
            consumer.seek((topic, partition, offset))
            first = read(consumer, 1)[0]
            assert (first.offset, first.value) == (offset, b"%d" % offset)
        consumer.seek_to_beginning((topic, partition))
        assert read(consumer, 1)[0].offset == 0


def test_seek_by_time_then_read(client: Client, keep: Keep, timed: tuple[str, list[int]]) -> None:
    topic, _ = timed
    consumer = keep(client.consumer())
    consumer.assign([(topic, 4, 0)])
    found = consumer.offset_for_time((topic, 4), BASE + 123 * STEP - 5)
    assert found == 123
    consumer.seek((topic, 4, found))
    first = read(consumer, 1)[0]
    assert (first.offset, first.timestamp) == (123, BASE + 123 * STEP)


def test_seek_to_the_end(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic()
    producer = keep(client.producer())
    producer.send([Outgoing(where, b"old %d" % i, None, 0) for i in range(10)]).deliveries()
    consumer = keep(client.consumer())
    consumer.assign([(where, 0, 0)])
    assert read(consumer, 10)[0].value == b"old 0"
    consumer.seek((where, 0, 2))
    consumer.seek_to_end((where, 0))
    assert consumer.poll(10, 1.0) == []
    producer.send([Outgoing(where, b"new", None, 0)]).deliveries()
    [record] = read(consumer, 1)
    assert (record.offset, record.value) == (10, b"new")


def test_watermarks(client: Client, keep: Keep, topic: Topic, steward: Admin) -> None:
    where = topic()
    consumer = keep(client.consumer())
    assert consumer.watermarks((where, 0)) == (0, 0)
    keep(client.producer()).send([Outgoing(where, b"%d" % i, None, 0) for i in range(25)]).deliveries()
    assert consumer.watermarks((where, 0)) == (0, 25)
    steward.delete_records((where, 0), 5)
    assert consumer.watermarks((where, 0)) == (5, 25)


def test_commits_with_metadata(client: Client, keep: Keep, topic: Topic, name: str, steward: Admin) -> None:
    where = topic(2)
    consumer = keep(client.consumer(ConsumerOptions(group=name)))
    consumer.assign([(where, 0, 0), (where, 1, 0)])
    assert consumer.committed((where, 0)) is None
    consumer.commit({(where, 0): 5}, "note: ünïcödé")
    offset, metadata = consumer.committed((where, 0)) or (None, None)
    assert offset == 5
    assert metadata in (None, "note: ünïcödé")
    assert consumer.committed((where, 1)) is None
    consumer.commit({(where, 0): 3, (where, 1): 0})
    assert (consumer.committed((where, 0)) or (None,))[0] == 3
    assert (consumer.committed((where, 1)) or (None,))[0] == 0
    assert steward.committed(name) == {(where, 0): 3, (where, 1): 0}


def test_too_long_metadata_is_refused(client: Client, keep: Keep, topic: Topic, name: str) -> None:
    where = topic()
    consumer = keep(client.consumer(ConsumerOptions(group=name)))
    consumer.assign([(where, 0, 0)])
    with pytest.raises(Refused) as refused:
        consumer.commit({(where, 0): 1}, "x" * 5000)
    assert refused.value.code == Code.OFFSET_METADATA_TOO_LARGE
    # The limit is 4096; confluent-kafka sends a terminating zero along, and some libraries count characters.
    consumer.commit({(where, 0): 1}, "x" * 4000)
    assert (consumer.committed((where, 0)) or (None,))[0] == 1


def test_reading_starts_at_the_commit(client: Client, keep: Keep, topic: Topic, name: str) -> None:
    where = topic()
    keep(client.producer()).send([Outgoing(where, b"%d" % i, None, 0) for i in range(50)]).deliveries()
    first = client.consumer(ConsumerOptions(group=name))
    try:
        first.subscribe([where])
        assert read(first, 50)[0].offset == 0
        first.commit({(where, 0): 20})
    finally:
        first.close()
    second = keep(client.consumer(ConsumerOptions(group=name)))
    second.subscribe([where])
    assert read(second, 30)[0].offset == 20


def test_reading_starts_at_the_end_when_told_so(client: Client, keep: Keep, topic: Topic, name: str) -> None:
    where = topic()
    producer = keep(client.producer())
    producer.send([Outgoing(where, b"old", None, 0)]).deliveries()
    consumer = keep(client.consumer(ConsumerOptions(group=name, reset="latest")))
    consumer.subscribe([where])
    seen: list[bytes | None] = []

    def reads_the_new() -> bool:
        producer.send([Outgoing(where, b"new", None, 0)]).deliveries()
        seen.extend(record.value for record in consumer.poll(100, 0.5))
        return bool(seen)

    eventually("a record written after the reader came is read", reads_the_new)
    assert b"old" not in seen


def test_a_lost_position_starts_again_where_told(client: Client, keep: Keep, topic: Topic, steward: Admin) -> None:
    """An offset that the log no longer has: the broker says so, the client goes where its reset policy sends it."""
    where = topic()
    keep(client.producer()).send([Outgoing(where, b"%d" % i, None, 0) for i in range(30)]).deliveries()
    steward.delete_records((where, 0), 12)
    consumer = keep(client.consumer())
    consumer.assign([(where, 0, 3)])
    assert read(consumer, 18)[0].offset == 12


def test_pause_and_resume(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic(2)
    consumer = keep(client.consumer())
    consumer.assign([(where, 0, 0), (where, 1, 0)])
    consumer.pause((where, 0))
    records = [Outgoing(where, b"%d" % i, None, i % 2) for i in range(20)]
    keep(client.producer()).send(records).deliveries()
    assert {record.partition for record in read(consumer, 10)} == {1}
    consumer.resume((where, 0))
    assert {record.partition for record in read(consumer, 10)} == {0}
