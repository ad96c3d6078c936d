"""Records go in and come out as they were: every shape of key, value, header and timestamp, in order, once."""

from __future__ import annotations

import hashlib

import pytest

from clients.base import Client, ConsumerOptions, Outgoing, ProducerOptions, Record, Unsupported
from fixtures import Keep, Topic
from reading import by_partition, nothing_more, read

SOME_TIME = 1_700_000_000_000
MEBIBYTE = 1 << 20


def round_trip(client: Client, keep: Keep, records: list[Outgoing], options: ProducerOptions) -> list[Record]:
    """Write with the client, read with the client, all in partition 0 of one topic."""
    keep(client.producer(options)).send(records).deliveries()
    consumer = keep(client.consumer())
    consumer.assign([(records[0].topic, 0, 0)])
    back = read(consumer, len(records))
    assert [record.offset for record in back] == list(range(len(records)))
    return back


def shape(record: Outgoing | Record) -> tuple[object, ...]:
    return record.key, record.value, record.headers


def test_keys_values_and_headers(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic()
    sent = [
        Outgoing(where, b"plain", b"key", 0),
        Outgoing(where, b"no key", None, 0),
        Outgoing(where, b"", b"empty value", 0),
        Outgoing(where, b"empty key", b"", 0),
        Outgoing(where, "ünïcödé €".encode(), "schlüssel".encode(), 0),
        Outgoing(where, bytes(range(256)), bytes(range(255, -1, -1)), 0),
        Outgoing(where, b"one header", b"k", 0, (("name", b"value"),)),
        Outgoing(where, b"repeated headers", b"k", 0, (("a", b"1"), ("b", b"2"), ("a", b"3"), ("a", b"1"))),
    ]
    assert list(map(shape, round_trip(client, keep, sent, ProducerOptions()))) == list(map(shape, sent))


def test_headers_of_any_bytes(client: Client, keep: Keep, topic: Topic) -> None:
    if not client.binary_headers:
        raise Unsupported("prints headers as text")
    where = topic()
    sent = [
        Outgoing(where, b"v", b"k", 0, (("bytes", bytes(range(256))), ("bytes", b"\xff\x00"), ("empty", b""))),
        Outgoing(where, b"v", b"k", 0, (("naïve name", b"x"), ("", b"no name"))),
        Outgoing(where, b"v", b"k", 0, tuple((f"h{i}", b"%d" % i) for i in range(200))),
    ]
    if client.null_headers:
        sent.append(Outgoing(where, b"v", b"k", 0, (("null", None), ("empty", b""), ("null", None))))
    assert list(map(shape, round_trip(client, keep, sent, ProducerOptions()))) == list(map(shape, sent))


def test_tombstones(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic()
    sent = [Outgoing(where, b"v", b"a", 0), Outgoing(where, None, b"a", 0), Outgoing(where, b"", b"a", 0)]
    assert list(map(shape, round_trip(client, keep, sent, ProducerOptions()))) == list(map(shape, sent))


def test_timestamps(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic(1, {"retention.ms": "-1"})
    times = [SOME_TIME, SOME_TIME + 5, SOME_TIME - 86_400_000, SOME_TIME + 1, 1]
    sent = [Outgoing(where, b"%d" % time, None, 0, (), time) for time in times]
    assert [record.timestamp for record in round_trip(client, keep, sent, ProducerOptions())] == times


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_one_mebibyte(client: Client, keep: Keep, topic: Topic, compression: str) -> None:
    where = topic(1, {"max.message.bytes": str(3 * MEBIBYTE)})
    # Incompressible, so that it is a mebibyte on the wire whatever the codec.
    value = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(MEBIBYTE // 32))
    sent = [Outgoing(where, b"before", b"k", 0), Outgoing(where, value, b"k", 0), Outgoing(where, b"after", b"k", 0)]
    options = ProducerOptions(compression=compression, max_request=3 * MEBIBYTE)
    assert list(map(shape, round_trip(client, keep, sent, options))) == list(map(shape, sent))


def test_order_in_each_partition(client: Client, keep: Keep, topic: Topic) -> None:
    """Thousands of records over partitions: dense offsets, the order of sending, nothing twice (idempotence is on)."""
    where, partitions, total = topic(4), 4, 12_000
    sent = [Outgoing(where, b"%d" % i, b"%d" % (i % 97), i // 500 % partitions) for i in range(total)]
    deliveries = keep(client.producer(ProducerOptions(linger_ms=20))).send(sent).deliveries()
    consumer = keep(client.consumer())
    consumer.assign([(where, partition, 0) for partition in range(partitions)])
    split = by_partition(read(consumer, total))
    nothing_more(consumer)
    for partition in range(partitions):
        expected = [record.value for record in sent if record.partition == partition]
        assert [record.value for record in split[partition]] == expected
        assert [record.offset for record in split[partition]] == list(range(len(expected)))
    for record, delivery in zip(sent, deliveries, strict=True):
        if delivery.offset is not None:
            assert split[delivery.partition][delivery.offset].value == record.value


def test_records_without_a_partition_keep_their_key_together(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic(3)
    sent = [Outgoing(where, b"%d" % i, b"key %d" % (i % 10)) for i in range(1000)]
    keep(client.producer()).send(sent).deliveries()
    consumer = keep(client.consumer())
    consumer.assign([(where, partition, 0) for partition in range(3)])
    homes: dict[bytes | None, set[int]] = {}
    for partition, records in by_partition(read(consumer, len(sent))).items():
        for record in records:
            homes.setdefault(record.key, set()).add(partition)
    assert len(homes) == 10
    assert all(len(home) == 1 for home in homes.values())


def test_a_waiting_reader_is_woken(client: Client, keep: Keep, topic: Topic) -> None:
    """The fetch waits at the broker longer than the test would: only a wake-up by the new record ends it in time."""
    where = topic()
    consumer = keep(client.consumer(ConsumerOptions(fetch_wait_ms=45_000)))
    consumer.assign([(where, 0, 0)])
    assert consumer.poll(1, 1.0) == []
    keep(client.producer()).send([Outgoing(where, b"wake up", None, 0)]).deliveries()
    [record] = consumer.poll(1, 30.0)
    assert record.value == b"wake up"
