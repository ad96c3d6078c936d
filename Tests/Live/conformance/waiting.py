"""Waiting for a condition, with a deadline: the suite has no other kind of waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 40.0
"""Seconds until a condition counts as never coming true. Generous: it is spent only by a failure."""

T = TypeVar("T")


def eventually(what: str, condition: Callable[[], T], patience: float = PATIENCE) -> T:
    """The first true answer of `condition`; fails with `what` when none came in time."""
    deadline = time.monotonic() + patience
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}; the last answer was {answer!r}")
        time.sleep(0.02)
