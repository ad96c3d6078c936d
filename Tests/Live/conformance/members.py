"""A consumer group at work: members on threads of their own, and a ledger of what the group has read.

A record counts as read by the group when the commit behind it succeeded. So the rule "each record once" is exact
across rebalances: a member that loses a partition before its commit has not read those records, whoever gets the
partition next has. What a member polled and could not commit it keeps, and gives up with the partition.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from clients.base import Consumer, Record, Refused, TopicPartition
from waiting import PATIENCE, eventually

POLL = 0.2


class Member(threading.Thread):
    """One member: poll, commit, count, until told to leave or to die."""

    def __init__(self, team: Team, name: str, opened: Callable[[], Consumer], eager: bool) -> None:
        super().__init__(name=name, daemon=True)
        self.team = team
        self.opened = opened
        self.eager = eager
        self.order = threading.Event()
        self.how = "leave"
        self.owned: frozenset[TopicPartition] = frozenset()
        self.rebalances = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            consumer = self.opened()
            try:
                consumer.subscribe([self.team.topic])
                self.work(consumer)
            finally:
                if self.how == "die":
                    consumer.kill()
                else:
                    consumer.close()
        except BaseException as problem:  # carried to the test's own thread by `Team.check`
            self.failure = problem
        finally:
            self.owned = frozenset()

    def work(self, consumer: Consumer) -> None:
        pending: dict[TopicPartition, dict[int, Record]] = {}
        while not self.order.is_set():
            records = consumer.poll(500, POLL)
            if consumer.rebalances != self.rebalances and self.eager:
                # Every partition starts again at its committed offset.
                pending.clear()
            self.rebalances = consumer.rebalances
            for record in records:
                pending.setdefault((record.topic, record.partition), {})[record.offset] = record
            self.owned = frozenset(consumer.assignment())
            pending = {partition: found for partition, found in pending.items() if partition in self.owned}
            if not pending:
                continue
            try:
                consumer.commit({partition: max(found) + 1 for partition, found in pending.items()})
            except Refused as refusal:
                self.team.refusals.append(f"{self.name}: {refusal}")
                continue
            self.team.count(self.name, pending)
            pending = {}

    def leave(self) -> None:
        """Close the consumer, so that it leaves the group, and wait for that."""
        self.end("leave")

    def die(self) -> None:
        """Kill the consumer's process, so that only its session's end tells the group."""
        self.end("die")

    def end(self, how: str) -> None:
        self.how = how
        self.order.set()
        self.join(PATIENCE)
        self.team.members.remove(self)
        if self.failure is not None:
            raise self.failure
        assert not self.is_alive(), f"{self.name} did not end"


class Team:
    """The group under test."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.members: list[Member] = []
        self.lock = threading.Lock()
        self.reads: Counter[tuple[TopicPartition, int]] = Counter()
        self.values: dict[tuple[TopicPartition, int], bytes | None] = {}
        self.refusals: list[str] = []

    def join(self, name: str, opened: Callable[[], Consumer], eager: bool = True) -> Member:
        member = Member(self, name, opened, eager)
        self.members.append(member)
        member.start()
        return member

    def count(self, _name: str, committed: dict[TopicPartition, dict[int, Record]]) -> None:
        with self.lock:
            for partition, found in committed.items():
                for offset, record in found.items():
                    self.reads[partition, offset] += 1
                    self.values[partition, offset] = record.value

    def check(self) -> None:
        for member in self.members:
            if member.failure is not None:
                raise member.failure

    def shares(self) -> list[int]:
        """How many partitions each member owns, smallest first; their sum is too small while a rebalance runs."""
        return sorted(len(member.owned) for member in self.members)

    def owned_once(self, partitions: int) -> bool:
        owned = [partition for member in self.members for partition in member.owned]
        return len(owned) == partitions and len(set(owned)) == partitions

    def until_shares(self, *shares: int) -> None:
        def settled() -> bool:
            self.check()
            return self.shares() == sorted(shares) and self.owned_once(sum(shares))

        self.until(f"the members share the partitions as {shares}", settled)

    def until_read(self, total: int) -> None:
        def complete() -> bool:
            self.check()
            return len(self.reads) >= total

        self.until(f"the group has read {total} records", complete)

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        try:
            eventually(what, condition)
        except AssertionError as problem:
            raise AssertionError(
                f"{problem}; shares {self.shares()}, read {len(self.reads)}, refusals {self.refusals[-5:]}"
            ) from None

    def assert_each_once(self, total: int) -> None:
        again = {place: times for place, times in self.reads.items() if times != 1}
        assert not again, f"read more than once: {again}; refusals {self.refusals}"
        assert len(self.reads) == total
        assert len(set(self.values.values())) == total

    def end(self) -> None:
        """Let everyone go, at the end of a test whatever its outcome."""
        for member in self.members:
            member.order.set()
        for member in self.members:
            member.join(PATIENCE)
        self.members.clear()
