"""A consumer in a process of its own, so that it can be killed as a crash kills it.

The child holds an ordinary adapter and carries out the verbs that come over a pipe, one at a time.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

from clients.base import Client, Consumer, ConsumerOptions, Position, Record, TopicPartition

PATIENCE = 60.0


def serve(pipe: Connection, kind: type[Client], address: str, options: ConsumerOptions) -> None:
    """The child's life: one verb in, its answer or its exception out, until the parent is gone."""
    consumer: Consumer | None = None
    while True:
        try:
            verb, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if consumer is None:
                consumer = kind(address).consumer(options)
            answer = getattr(consumer, verb)(*arguments)
            pipe.send((None, answer, consumer.rebalances))
        except Exception as problem:  # whatever it is, the parent is the one to judge it
            pipe.send((problem, None, 0))
        if verb == "close":
            return


class RemoteConsumer(Consumer):
    def __init__(self, client: Client, options: ConsumerOptions) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, type(client), client.address, options), daemon=True)
        self.process.start()
        theirs.close()
        self.rebalances = 0

    def ask(self, verb: str, *arguments: Any) -> Any:
        self.pipe.send((verb, arguments))
        if not self.pipe.poll(PATIENCE):
            raise TimeoutError(f"no answer to {verb} from the consumer's process")
        problem, answer, self.rebalances = self.pipe.recv()
        if problem is not None:
            raise problem
        return answer

    def subscribe(self, topics: Sequence[str]) -> None:
        self.ask("subscribe", list(topics))

    def assign(self, positions: Sequence[Position]) -> None:
        self.ask("assign", list(positions))

    def poll(self, limit: int, timeout: float) -> list[Record]:
        records: list[Record] = self.ask("poll", limit, timeout)
        return records

    def assignment(self) -> set[TopicPartition]:
        partitions: set[TopicPartition] = self.ask("assignment")
        return partitions

    def commit(self, positions: Mapping[TopicPartition, int], metadata: str = "") -> None:
        self.ask("commit", dict(positions), metadata)

    def close(self) -> None:
        self.ask("close")
        self.process.join(10)
        self.pipe.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()
