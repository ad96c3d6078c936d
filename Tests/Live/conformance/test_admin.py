"""Administration: topics, their configs and partitions, records, groups and their offsets."""

from __future__ import annotations

import pytest

from clients.base import Admin, Client, Code, ConsumerOptions, Outgoing, Refused
from fixtures import Keep, Topic
from reading import read
from waiting import eventually


def refused_with(*codes: Code) -> pytest.RaisesExc[Refused]:
    return pytest.RaisesExc(Refused, check=lambda refusal: refusal.code in codes)


def test_topics_are_created_and_listed(client: Client, keep: Keep, name: str) -> None:
    admin = keep(client.admin())
    admin.create_topic(name, 5)
    assert eventually("the topic is listed", lambda: admin.topics().get(name)) == 5


def test_the_topics_are_listed_with_their_partitions(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic(4)
    assert keep(client.admin()).topics()[where] == 4


def test_a_topic_is_created_with_configs(client: Client, keep: Keep, name: str) -> None:
    admin = keep(client.admin())
    admin.create_topic(name, 1, config={"retention.ms": "3600000", "max.message.bytes": "222222"})
    config = admin.config(name)
    assert config["retention.ms"] == "3600000"
    assert config["max.message.bytes"] == "222222"
    assert config["cleanup.policy"] == "delete"


def test_what_cannot_be_created_is_refused(client: Client, keep: Keep, name: str) -> None:
    admin = keep(client.admin())
    with refused_with(Code.INVALID_REPLICATION_FACTOR):
        admin.create_topic(name, 1, replication=3)
    with refused_with(Code.INVALID_CONFIG, Code.POLICY_VIOLATION):
        admin.create_topic(name, 1, config={"cleanup.policy": "compact"})
    with refused_with(Code.INVALID_CONFIG):
        admin.create_topic(name, 1, config={"retention.ms": "soon"})
    with refused_with(Code.INVALID_CONFIG):
        admin.create_topic(name, 1, config={"no.such.config": "1"})
    with refused_with(Code.INVALID_TOPIC):
        admin.create_topic("no/such name", 1)
    with refused_with(Code.INVALID_TOPIC):
        admin.create_topic("..", 1)
    with refused_with(Code.INVALID_PARTITIONS):
        admin.create_topic(name, 0)
    admin.create_topic(name, 1)
    with refused_with(Code.TOPIC_ALREADY_EXISTS):
        admin.create_topic(name, 1)


def test_configs_are_altered_one_by_one(client: Client, keep: Keep, topic: Topic) -> None:
    """The incremental form leaves alone what it does not name, and can go back to a default."""
    where = topic(1, {"retention.ms": "3600000"})
    admin = keep(client.admin())
    before = admin.config(where)
    admin.alter_config(where, {"max.message.bytes": "333333"})
    assert admin.config(where) == {**before, "max.message.bytes": "333333"}
    admin.alter_config(where, {"max.message.bytes": None, "retention.ms": "7200000"})
    assert admin.config(where) == {**before, "retention.ms": "7200000"}
    with refused_with(Code.INVALID_CONFIG):
        admin.alter_config(where, {"retention.ms": "soon"})
    assert admin.config(where) == {**before, "retention.ms": "7200000"}


def test_configs_are_replaced(client: Client, keep: Keep, topic: Topic) -> None:
    """The older form: what it does not name goes back to its default."""
    where = topic(1, {"retention.ms": "3600000"})
    admin = keep(client.admin())
    admin.replace_config(where, {"max.message.bytes": "333333"})
    config = admin.config(where)
    assert config["max.message.bytes"] == "333333"
    assert config["retention.ms"] != "3600000"


def test_partitions_are_added(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic(2)
    admin = keep(client.admin())
    admin.create_partitions(where, 4)
    assert eventually("the new partitions are listed", lambda: admin.topics()[where] == 4)
    keep(client.producer()).send([Outgoing(where, b"new", None, 3)]).deliveries()
    with refused_with(Code.INVALID_PARTITIONS):
        admin.create_partitions(where, 3)


def test_a_missing_topic_is_told(client: Client, keep: Keep, name: str) -> None:
    admin = keep(client.admin())
    with refused_with(Code.UNKNOWN_TOPIC_OR_PARTITION):
        admin.delete_topic(name)
    with refused_with(Code.UNKNOWN_TOPIC_OR_PARTITION):
        admin.create_partitions(name, 4)
    assert name not in admin.topics()


def test_a_topic_created_again_is_empty(client: Client, keep: Keep, name: str, steward: Admin) -> None:
    admin = keep(client.admin())
    admin.create_topic(name, 2)
    keep(client.producer()).send([Outgoing(name, b"old %d" % i, None, 0) for i in range(10)]).deliveries()
    admin.delete_topic(name)
    eventually("the topic is gone", lambda: name not in admin.topics())
    admin.create_topic(name, 1)
    keep(client.producer()).send([Outgoing(name, b"new", None, 0)]).deliveries()
    consumer = keep(client.consumer())
    consumer.assign([(name, 0, 0)])
    [record] = read(consumer, 1)
    assert (record.offset, record.value) == (0, b"new")
    assert admin.topics()[name] == 1


def test_records_are_deleted(client: Client, keep: Keep, topic: Topic) -> None:
    where = topic()
    keep(client.producer()).send([Outgoing(where, b"%d" % i, None, 0) for i in range(30)]).deliveries()
    admin = keep(client.admin())
    assert admin.delete_records((where, 0), 10) == 10
    consumer = keep(client.consumer())
    consumer.assign([(where, 0, 10)])
    assert [record.offset for record in read(consumer, 20)] == list(range(10, 30))
    assert consumer.watermarks((where, 0)) == (10, 30)
    with pytest.raises(Refused):
        admin.delete_records((where, 0), 31)
    assert admin.delete_records((where, 0), -1) == 30
    assert consumer.watermarks((where, 0)) == (30, 30)


def test_groups_are_listed_and_described(client: Client, keep: Keep, topic: Topic, name: str) -> None:
    where = topic(2)
    admin = keep(client.admin())
    keep(client.producer()).send([Outgoing(where, b"%d" % i, None, 0) for i in range(10)]).deliveries()
    consumer = client.consumer(ConsumerOptions(group=name))
    try:
        consumer.subscribe([where])
        read(consumer, 10)
        consumer.commit({(where, 0): 7})
        assert name in admin.groups()
        view = admin.describe_group(name)
        assert (view.state, len(view.members)) == ("stable", 1)
        assert admin.committed(name) == {(where, 0): 7}
    finally:
        consumer.close()
    eventually("the group is empty", lambda: admin.describe_group(name).state == "empty")
    assert admin.describe_group(name).members == ()
    assert admin.committed(name) == {(where, 0): 7}


def test_groups_are_deleted_when_they_are_empty(client: Client, keep: Keep, topic: Topic, name: str) -> None:
    where = topic()
    admin = keep(client.admin())
    keep(client.producer()).send([Outgoing(where, b"v", None, 0)]).deliveries()
    consumer = client.consumer(ConsumerOptions(group=name))
    try:
        consumer.subscribe([where])
        read(consumer, 1)
        consumer.commit({(where, 0): 1})
        with refused_with(Code.NON_EMPTY_GROUP):
            admin.delete_group(name)
    finally:
        consumer.close()
    eventually("the group is empty", lambda: admin.describe_group(name).state == "empty")
    admin.delete_group(name)
    assert name not in admin.groups()
    with refused_with(Code.GROUP_ID_NOT_FOUND):
        admin.delete_group(name)


def test_offsets_are_deleted(client: Client, keep: Keep, topic: Topic, name: str) -> None:
    where = topic(2)
    admin = keep(client.admin())
    consumer = client.consumer(ConsumerOptions(group=name))
    try:
        consumer.subscribe([where])
        consumer.poll(1, 0.5)
        eventually("the member has its partitions", lambda: consumer.poll(1, 0.2) or len(consumer.assignment()) == 2)
        consumer.commit({(where, 0): 0, (where, 1): 0})
        with refused_with(Code.GROUP_SUBSCRIBED_TO_TOPIC):
            admin.delete_offsets(name, [(where, 0)])
    finally:
        consumer.close()
    eventually("the group is empty", lambda: admin.describe_group(name).state == "empty")
    admin.delete_offsets(name, [(where, 0)])
    assert admin.committed(name) == {(where, 1): 0}
