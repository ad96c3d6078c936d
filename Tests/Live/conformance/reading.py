"""Reading until what is awaited has come."""

from __future__ import annotations

from collections.abc import Sequence

from clients.base import Consumer, Record
from waiting import eventually


def read(consumer: Consumer, count: int) -> list[Record]:
    """At least `count` records, in the order in which they came; more only if they came along."""
    records: list[Record] = []

    def enough() -> bool:
        records.extend(consumer.poll(1000, 0.5))
        return len(records) >= count

    try:
        eventually(f"{count} records are read", enough)
    except AssertionError as problem:
        raise AssertionError(f"{problem}; read {len(records)}") from None
    return records


def nothing_more(consumer: Consumer) -> None:
    """One more look: what is there already would come at once."""
    assert consumer.poll(10, 0.3) == []


def by_partition(records: Sequence[Record]) -> dict[int, list[Record]]:
    split: dict[int, list[Record]] = {}
    for record in records:
        split.setdefault(record.partition, []).append(record)
    return split
