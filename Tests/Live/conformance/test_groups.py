"""Consumer groups: they form, grow, shrink by farewell and by death, and read each record once whoever is in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from broker import Broker
from clients.base import Admin, Client, Code, Consumer, ConsumerOptions, Outgoing, Producer, Refused, Unsupported
from clients.registry import CLIENTS
from clients.remote import RemoteConsumer
from fixtures import Keep, Teams, Topic
from reading import read
from waiting import eventually

PARTITIONS = 6
WAVE = 600
SHORT_SESSION = 3_000
"""Of the member that is killed: the group takes this long to miss it."""


class Waves:
    """Writes records of ever new values over all partitions of a topic."""

    def __init__(self, producer: Producer, topic: str, partitions: int) -> None:
        self.producer = producer
        self.topic = topic
        self.partitions = partitions
        self.total = 0

    def write(self) -> None:
        numbers = range(self.total, self.total + WAVE)
        # A stretch for each partition: what writes one partition at a time (kcat) is not started for each record.
        records = [Outgoing(self.topic, b"%d" % i, None, i % WAVE * self.partitions // WAVE) for i in numbers]
        self.producer.send(records).deliveries()
        self.total += WAVE


def options(group: str, strategy: str, session_ms: int = 10_000, instance: str | None = None) -> ConsumerOptions:
    return ConsumerOptions(group=group, strategy=strategy, session_ms=session_ms, instance=instance)


def mortal(client: Client, wish: ConsumerOptions) -> Consumer:
    """A consumer that can be killed: the Swift client's driver is a process anyway, others get one."""
    return client.consumer(wish) if client.own_process else RemoteConsumer(client, wish)


def require(client: Client, strategy: str, commits: bool = True) -> None:
    if strategy not in client.strategies:
        raise Unsupported(f"has no {strategy} assignor")
    if commits and not client.commits:
        raise Unsupported("has no commit of chosen offsets")


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "sticky", "cooperative-sticky"])
def test_one_member_reads_everything(client: Client, keep: Keep, topic: Topic, name: str, strategy: str) -> None:
    require(client, strategy, commits=False)
    where = topic(3)
    waves = Waves(keep(client.producer()), where, 3)
    waves.write()
    consumer = keep(client.consumer(options(name, strategy)))
    consumer.subscribe([where])
    values = [record.value for record in read(consumer, WAVE)]
    assert sorted(map(int, filter(None, values))) == list(range(WAVE))


@pytest.mark.parametrize("strategy", ["range", "sticky", "cooperative-sticky"])
def test_a_group_grows_and_shrinks(
    client: Client, keep: Keep, topic: Topic, name: str, team: Teams, strategy: str
) -> None:
    """One, then three, two after a farewell, one after a death; records flow all the time and are each read once."""
    require(client, strategy)
    where = topic(PARTITIONS)
    waves = Waves(keep(client.producer()), where, PARTITIONS)
    eager = strategy != "cooperative-sticky"
    group = team(where)

    waves.write()
    group.join("first", lambda: client.consumer(options(name, strategy)), eager)
    group.until_read(waves.total)

    second = group.join("second", lambda: client.consumer(options(name, strategy)), eager)
    third = group.join("third", lambda: mortal(client, options(name, strategy, SHORT_SESSION)), eager)
    waves.write()
    group.until_shares(2, 2, 2)
    waves.write()
    group.until_read(waves.total)

    waves.write()
    second.leave()
    group.until_shares(3, 3)
    waves.write()
    group.until_read(waves.total)

    waves.write()
    third.die()
    group.until_shares(PARTITIONS)
    waves.write()
    group.until_read(waves.total)
    group.assert_each_once(waves.total)


def test_different_libraries_share_a_group(
    keep: Keep, topic: Topic, name: str, team: Teams, broker: Broker, pytestconfig: pytest.Config
) -> None:
    """One group whose members come from different libraries, under the assignor that they all know."""
    chosen = pytestconfig.getoption("--clients").split(",")
    clients = [kind(broker.address) for kind in CLIENTS.values() if kind.name in chosen and kind.name != "kcat"]
    where = topic(2 * len(clients))
    waves = Waves(keep(clients[-1].producer()), where, 2 * len(clients))
    group = team(where)
    waves.write()
    members = [group.join(client.name, partial(client.consumer, options(name, "range"))) for client in clients]
    group.until_shares(*[2] * len(clients))
    waves.write()
    group.until_read(waves.total)
    for member in members[:-1]:
        waves.write()
        member.leave()
        group.until("the others take over", lambda: group.owned_once(2 * len(clients)))
    group.until_read(waves.total)
    group.assert_each_once(waves.total)


def test_a_static_member_comes_back_without_a_rebalance(
    client: Client, keep: Keep, topic: Topic, name: str, team: Teams, steward: Admin
) -> None:
    where = topic(PARTITIONS)
    waves = Waves(keep(client.producer()), where, PARTITIONS)
    group = team(where)

    def opened(instance: str) -> Callable[[], Consumer]:
        return lambda: client.consumer(options(name, "range", instance=instance))

    # The client says here that it has no static membership, before a thread would.
    probe = client.consumer(options(f"{name}-probe", "range", instance="probe"))
    probe.close()

    one = group.join("one", opened("one"))
    two = group.join("two", opened("two"))
    group.until_shares(3, 3)
    waves.write()
    group.until_read(waves.total)
    mine, theirs, rebalances = one.owned, two.owned, two.rebalances

    one.leave()
    waves.write()
    again = group.join("one again", opened("one"))
    group.until("the instance has its partitions again", lambda: again.owned == mine)
    group.until_read(waves.total)
    assert (two.owned, two.rebalances) == (theirs, rebalances)
    assert steward.describe_group(name).state == "stable"
    group.assert_each_once(waves.total)


def test_members_without_a_common_assignor_do_not_mix(
    client: Client, keep: Keep, topic: Topic, name: str, team: Teams
) -> None:
    """The second is told so, or at least gets nothing; the first is not disturbed."""
    require(client, "roundrobin")
    where = topic(2)
    waves = Waves(keep(client.producer()), where, 2)
    group = team(where)
    group.join("first", lambda: client.consumer(options(name, "range")))
    waves.write()
    group.until_shares(2)
    stranger = keep(client.consumer(options(name, "roundrobin")))
    stranger.subscribe([where])
    try:
        assert stranger.poll(100, 2.0) == []
    except Refused as refusal:
        assert refusal.code == Code.INCONSISTENT_GROUP_PROTOCOL
    assert stranger.assignment() == set()
    waves.write()
    group.until_read(waves.total)
    group.assert_each_once(waves.total)
    assert group.shares() == [2]


def test_a_stranger_cannot_commit_for_a_group_at_work(
    client: Client, keep: Keep, topic: Topic, name: str, team: Teams, steward: Admin
) -> None:
    """A commit from outside, with neither member nor generation, is good for an empty group only."""
    require(client, "range")
    where = topic(2)
    waves = Waves(keep(client.producer()), where, 2)
    stranger = keep(client.consumer(options(name, "range")))
    stranger.assign([(where, 0, 0)])
    group = team(where)
    waves.write()
    member = group.join("member", lambda: client.consumer(options(name, "range")))
    group.until_read(waves.total)
    with pytest.raises(Refused):
        stranger.commit({(where, 0): 1})
    assert steward.committed(name) == {(where, 0): WAVE // 2, (where, 1): WAVE // 2}
    member.leave()
    eventually("the group is empty", lambda: steward.describe_group(name).state == "empty")
    stranger.commit({(where, 0): 1})
    assert steward.committed(name)[where, 0] == 1


def test_a_member_learns_of_new_partitions(
    client: Client, keep: Keep, topic: Topic, name: str, team: Teams, steward: Admin
) -> None:
    require(client, "range")
    where = topic(1)
    group = team(where)
    group.join("member", lambda: client.consumer(options(name, "range")))
    group.until_shares(1)
    steward.create_partitions(where, 3)
    waves = Waves(keep(client.producer()), where, 3)
    group.until_shares(3)
    waves.write()
    group.until_read(waves.total)
    group.assert_each_once(waves.total)
