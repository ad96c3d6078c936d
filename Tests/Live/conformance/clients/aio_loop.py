"""The event loop on which aiokafka's objects live, and its errors in the suite's words."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka import errors

from clients.base import Refused

PATIENCE = 30.0
T = TypeVar("T")


class Loop:
    """The event loop that all objects of this process share."""

    shared: Loop | None = None

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="aiokafka", daemon=True).start()

    @classmethod
    def run(cls, work: Coroutine[Any, Any, T], patience: float = PATIENCE * 2) -> T:
        if cls.shared is None:
            cls.shared = Loop()
        try:
            return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, patience), cls.shared.loop).result()
        except (errors.KafkaError, TimeoutError, AssertionError) as problem:
            raise refusal(problem) from problem


def refusal(problem: BaseException) -> Refused:
    return Refused(getattr(problem, "errno", None), f"{type(problem).__name__}: {problem}")
