"""What the broker does not do it refuses with the protocol's own error, at once; nothing hangs."""

from __future__ import annotations

import pytest

from clients.base import Admin, Client, Code, Outgoing, ProducerOptions, Refused, Unsupported
from fixtures import Keep, Topic
from reading import read
from waiting import eventually

MEBIBYTE = 1 << 20


def test_a_record_too_large_for_the_topic(client: Client, keep: Keep, topic: Topic) -> None:
    """Refused by its code, and what is small enough goes on (some libraries need a new producer for that)."""
    where = topic(1, {"max.message.bytes": "100000"})
    producer = keep(client.producer(ProducerOptions(max_request=4 * MEBIBYTE)))
    [answer] = producer.send([Outgoing(where, b"x" * 200_000, None, 0)]).all
    assert isinstance(answer, Refused)
    assert answer.code == Code.MESSAGE_TOO_LARGE
    keep(client.producer()).send([Outgoing(where, b"small", None, 0)]).deliveries()
    consumer = keep(client.consumer())
    consumer.assign([(where, 0, 0)])
    assert [record.value for record in read(consumer, 1)] == [b"small"]


def test_a_topic_appears_when_it_is_written_to(client: Client, keep: Keep, name: str) -> None:
    keep(client.producer()).send([Outgoing(name, b"first", b"k")]).deliveries()
    topics = keep(client.admin()).topics()
    consumer = keep(client.consumer())
    consumer.assign([(name, partition, 0) for partition in range(topics[name])])
    assert [record.value for record in read(consumer, 1)] == [b"first"]


def test_a_topic_with_an_impossible_name(client: Client, keep: Keep) -> None:
    producer = keep(client.producer(ProducerOptions(patience=4)))
    [answer] = producer.send([Outgoing("no/such name", b"v", None)]).all
    assert isinstance(answer, Refused)


def test_a_partition_that_is_not_there(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic(2)
    producer = keep(client.producer())
    [answer] = producer.send([Outgoing(where, b"v", None, 17)]).all
    assert isinstance(answer, Refused)
    producer.send([Outgoing(where, b"v", None, 1)]).deliveries()


def test_a_reader_of_a_missing_topic_gets_it_once_it_is_there(
    client: Client, keep: Keep, name: str, steward: Admin
) -> None:
    """Reading creates no topic unless the library insists, and the reader needs no restart when somebody does."""
    if not client.waits_for_topics:
        raise Unsupported("gives up on a missing topic")
    consumer = keep(client.consumer())
    consumer.assign([(name, 0, 0)])
    try:
        assert consumer.poll(1, 0.5) == []
    except Refused as refusal:
        assert refusal.code in (Code.UNKNOWN_TOPIC_OR_PARTITION, -190, -188)
    if client.reads_without_creating:
        assert name not in steward.topics()
        steward.create_topic(name, 1)
    keep(client.producer()).send([Outgoing(name, b"there", None, 0)]).deliveries()
    values: list[bytes | None] = []

    def found() -> bool:
        try:
            values.extend(record.value for record in consumer.poll(1, 0.5))
        except Refused as refusal:
            assert refusal.code in (Code.UNKNOWN_TOPIC_OR_PARTITION, -190, -188)
        return bool(values)

    eventually("the record of the new topic is read", found)
    assert values == [b"there"]


def test_transactions_are_refused(client: Client, name: str) -> None:
    with pytest.raises(Refused) as refused:
        client.begin_transaction(name)
    assert refused.value.code == Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
