"""Every client reads what every client has compressed: batches pass through the broker as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clients.base import Admin, Client, Outgoing, ProducerOptions
from fixtures import Keep
from reading import by_partition, read

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RECORDS = 300


def value(codec: str, index: int) -> bytes:
    """Long enough and alike enough that a codec has something to do."""
    return f"{codec} {index} ".encode() * 20


@pytest.fixture(scope="session")
def written(steward: Admin) -> Callable[[Client], str]:
    """The topic that a client has written, one partition a codec; written once, at the first reader's wish."""
    topics: dict[str, str] = {}

    def write(writer: Client) -> str:
        if writer.name not in topics:
            topic = f"codecs-{writer.name}"
            steward.create_topic(topic, len(CODECS))
            for partition, codec in enumerate(CODECS):
                producer = writer.producer(ProducerOptions(compression=codec, linger_ms=50))
                producer.send(
                    [Outgoing(topic, value(codec, i), b"%d" % i, partition) for i in range(RECORDS)]
                ).deliveries()
                producer.close()
            topics[writer.name] = topic
        return topics[writer.name]

    return write


def test_reads_what_another_compressed(
    client: Client, writer: Client, keep: Keep, written: Callable[[Client], str]
) -> None:
    topic = written(writer)
    consumer = keep(client.consumer())
    consumer.assign([(topic, partition, 0) for partition in range(len(CODECS))])
    split = by_partition(read(consumer, RECORDS * len(CODECS)))
    for partition, codec in enumerate(CODECS):
        assert [record.value for record in split[partition]] == [value(codec, i) for i in range(RECORDS)]
        assert [record.key for record in split[partition]] == [b"%d" % i for i in range(RECORDS)]
