"""The types of the fixtures that conftest.py makes, for the tests' signatures."""

from __future__ import annotations

from typing import Protocol, TypeVar

from members import Team


class Closable(Protocol):
    def close(self) -> None: ...


Kept = TypeVar("Kept", bound=Closable)


class Keep(Protocol):
    """Closes at the test's end what it is given, and gives it back."""

    def __call__(self, thing: Kept) -> Kept: ...


class Topic(Protocol):
    """Makes a topic of a name that no other test uses."""

    def __call__(self, partitions: int = 1, config: dict[str, str] | None = None) -> str: ...


class Teams(Protocol):
    """Makes a group whose members are let go at the test's end."""

    def __call__(self, topic: str) -> Team: ...
