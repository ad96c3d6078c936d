"""confluent-kafka: the newest librdkafka, from Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import confluent_kafka as ck
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from clients.base import (
    Admin,
    Answers,
    Client,
    Consumer,
    ConsumerOptions,
    Delivery,
    GroupView,
    Outgoing,
    Position,
    Producer,
    ProducerOptions,
    Record,
    Refused,
    TopicPartition,
)

PATIENCE = 30.0

# Only what is critical: lines about connections that a scenario breaks on purpose would drown a failure's own.
QUIET: dict[str, Any] = {"log_level": 2}


def refusal(error: ck.KafkaError) -> Refused:
    return Refused(error.code(), f"{error.name()}: {error.str()}")


T = TypeVar("T")


def ask(call: Callable[[], T]) -> T:
    """Run a call of the library, with its exception said in our words."""
    try:
        return call()
    except ck.KafkaException as problem:
        raise refusal(problem.args[0]) from problem


class ConfluentProducer(Producer):
    def __init__(self, address: str, options: ProducerOptions) -> None:
        settings: dict[str, Any] = {
            "bootstrap.servers": options.address or address,
            **QUIET,
            "enable.idempotence": True,
            "compression.type": options.compression,
            "linger.ms": options.linger_ms,
            "delivery.timeout.ms": int(options.patience * 1000),
        }
        if options.max_request is not None:
            settings["message.max.bytes"] = options.max_request
        self.producer = ck.Producer(settings)

    def send(self, records: Sequence[Outgoing]) -> Answers:
        answers: list[Delivery | Refused | None] = [None] * len(records)

        def on_delivery(index: int) -> Callable[[ck.KafkaError | None, ck.Message], None]:
            def report(error: ck.KafkaError | None, message: ck.Message) -> None:
                answers[index] = refusal(error) if error else Delivery(message.partition(), message.offset())

            return report

        for index, record in enumerate(records):
            optional: dict[str, Any] = {}
            if record.partition is not None:
                optional["partition"] = record.partition
            if record.timestamp is not None:
                optional["timestamp"] = record.timestamp
            while True:
                try:
                    self.producer.produce(
                        record.topic,
                        value=record.value,
                        key=record.key,
                        headers=list(record.headers),
                        on_delivery=on_delivery(index),
                        **optional,
                    )
                    break
                except BufferError:
                    self.producer.poll(0.1)
                except ck.KafkaException as problem:
                    answers[index] = refusal(problem.args[0])
                    break
        self.producer.flush(PATIENCE * 2)
        return Answers([answer or Refused(None, "no verdict") for answer in answers])

    def close(self) -> None:
        self.producer.flush(1)


class ConfluentConsumer(Consumer):
    def __init__(self, address: str, options: ConsumerOptions) -> None:
        self.consumer = ck.Consumer(
            {
                "bootstrap.servers": address,
                **QUIET,
                "group.id": options.group or "none",
                "enable.auto.commit": False,
                "auto.offset.reset": options.reset,
                "partition.assignment.strategy": options.strategy,
                "session.timeout.ms": options.session_ms,
                "heartbeat.interval.ms": options.session_ms // 5,
                "fetch.wait.max.ms": options.fetch_wait_ms,
                "topic.metadata.refresh.interval.ms": 1000,
                **({"group.instance.id": options.instance} if options.instance else {}),
            }
        )
        self.rebalances = 0

    def subscribe(self, topics: Sequence[str]) -> None:
        def count(_consumer: ck.Consumer, _partitions: list[ck.TopicPartition]) -> None:
            self.rebalances += 1

        self.consumer.subscribe(list(topics), on_assign=count)

    def assign(self, positions: Sequence[Position]) -> None:
        self.consumer.assign([ck.TopicPartition(*position) for position in positions])

    def poll(self, limit: int, timeout: float) -> list[Record]:
        deadline = time.monotonic() + timeout
        records: list[Record] = []
        while not records:
            left = deadline - time.monotonic()
            # `consume` waits for the whole batch, `poll` for one: the first is waited for, the rest is taken as it is.
            first = ask(lambda wait=max(left, 0): self.consumer.poll(wait))
            messages = [] if first is None else [first, *ask(lambda: self.consumer.consume(limit - 1, 0))]
            for message in messages:
                if (error := message.error()) is not None:
                    raise refusal(error)
                records.append(converted(message))
            if left <= 0:
                break
        return records

    def assignment(self) -> set[TopicPartition]:
        return {(p.topic, p.partition) for p in self.consumer.assignment()}

    def close(self) -> None:
        self.consumer.close()

    def seek(self, position: Position) -> None:
        ask(lambda: self.consumer.seek(ck.TopicPartition(*position)))

    def seek_to_beginning(self, partition: TopicPartition) -> None:
        self.seek((*partition, ck.OFFSET_BEGINNING))

    def seek_to_end(self, partition: TopicPartition) -> None:
        self.seek((*partition, ck.OFFSET_END))

    def offset_for_time(self, partition: TopicPartition, timestamp: int) -> int | None:
        [answer] = ask(lambda: self.consumer.offsets_for_times([ck.TopicPartition(*partition, timestamp)], PATIENCE))
        if answer.error is not None:
            raise refusal(answer.error)
        return answer.offset if answer.offset >= 0 else None

    def watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        return ask(lambda: self.consumer.get_watermark_offsets(ck.TopicPartition(*partition), PATIENCE))

    def commit(self, positions: Mapping[TopicPartition, int], metadata: str = "") -> None:
        offsets = [ck.TopicPartition(t, p, offset, metadata) for (t, p), offset in positions.items()]
        for answer in ask(lambda: self.consumer.commit(offsets=offsets, asynchronous=False)):
            if answer.error is not None:
                raise refusal(answer.error)

    def committed(self, partition: TopicPartition) -> tuple[int, str | None] | None:
        [answer] = ask(lambda: self.consumer.committed([ck.TopicPartition(*partition)], PATIENCE))
        if answer.error is not None:
            raise refusal(answer.error)
        return (answer.offset, answer.metadata or "") if answer.offset >= 0 else None

    def pause(self, partition: TopicPartition) -> None:
        ask(lambda: self.consumer.pause([ck.TopicPartition(*partition)]))

    def resume(self, partition: TopicPartition) -> None:
        ask(lambda: self.consumer.resume([ck.TopicPartition(*partition)]))


def converted(message: ck.Message) -> Record:
    headers = tuple((name, value) for name, value in message.headers() or [])
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        headers,
        message.timestamp()[1],
    )


class ConfluentAdmin(Admin):
    def __init__(self, address: str) -> None:
        self.admin = AdminClient({"bootstrap.servers": address, **QUIET})

    def close(self) -> None:
        """The library closes an admin client when the last reference to it goes."""
        del self.admin

    def each(self, futures: Mapping[Any, Any]) -> list[Any]:
        return [ask(lambda f=future: f.result(PATIENCE)) for future in futures.values()]

    def create_topic(
        self, name: str, partitions: int, replication: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        self.each(self.admin.create_topics([NewTopic(name, partitions, replication, config=dict(config or {}))]))

    def delete_topic(self, name: str) -> None:
        self.each(self.admin.delete_topics([name]))

    def topics(self) -> dict[str, int]:
        listing = ask(lambda: self.admin.list_topics(timeout=PATIENCE))
        return {name: len(topic.partitions) for name, topic in listing.topics.items()}

    def create_partitions(self, topic: str, total: int) -> None:
        self.each(self.admin.create_partitions([NewPartitions(topic, total)]))

    def config(self, topic: str) -> dict[str, str | None]:
        [entries] = self.each(self.admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))
        return {name: entry.value for name, entry in entries.items()}

    def alter_config(self, topic: str, changes: Mapping[str, str | None]) -> None:
        entries = [
            ConfigEntry(
                name,
                value,
                incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
            )
            for name, value in changes.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self.each(self.admin.incremental_alter_configs([resource]))

    def replace_config(self, topic: str, config: Mapping[str, str]) -> None:
        self.each(self.admin.alter_configs([ConfigResource(ResourceType.TOPIC, topic, set_config=dict(config))]))

    def delete_records(self, partition: TopicPartition, before: int) -> int:
        [answer] = self.each(self.admin.delete_records([ck.TopicPartition(*partition, before)]))
        return answer.low_watermark

    def groups(self) -> set[str]:
        listing = ask(lambda: self.admin.list_consumer_groups(request_timeout=PATIENCE).result(PATIENCE))
        if listing.errors:
            raise refusal(listing.errors[0].args[0])
        return {group.group_id for group in listing.valid}

    def describe_group(self, group: str) -> GroupView:
        [view] = self.each(self.admin.describe_consumer_groups([group]))
        return GroupView(view.state.name.replace("_", "").lower(), tuple(member.member_id for member in view.members))

    def delete_group(self, group: str) -> None:
        self.each(self.admin.delete_consumer_groups([group]))

    def committed(self, group: str) -> dict[TopicPartition, int]:
        [answer] = self.each(self.admin.list_consumer_group_offsets([ck.ConsumerGroupTopicPartitions(group)]))
        return {(p.topic, p.partition): p.offset for p in answer.topic_partitions if p.offset >= 0}


class Confluent(Client):
    name = "confluent"
    strategies = ("range", "roundrobin", "cooperative-sticky")
    null_headers = True

    def producer(self, options: ProducerOptions = ProducerOptions()) -> Producer:
        return ConfluentProducer(self.address, options)

    def consumer(self, options: ConsumerOptions = ConsumerOptions()) -> Consumer:
        return ConfluentConsumer(self.address, options)

    def admin(self) -> Admin:
        return ConfluentAdmin(self.address)

    def begin_transaction(self, transactional_id: str) -> None:
        producer = ck.Producer({"bootstrap.servers": self.address, "transactional.id": transactional_id})
        ask(lambda: producer.init_transactions(10))
        ask(producer.begin_transaction)
