"""A console beside the site of the dead letters, and a browser."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser import Browser
from ports import free_port, listens
from site_of_letters import FLOTILLA, Site, until


class ConsoleSite(Site):
    """The console asks nobody who they are unless there are tokens."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.console_port = free_port()
        self.address = f"http://127.0.0.1:{self.console_port}"
        self.tokens: dict[str, str] = {}

    def allow(self, **roles: str) -> None:
        """Tokens for people and their roles."""
        entries = []
        for name, role in roles.items():
            told = self.run("console", "token", name, "--role", role).stdout.split()
            self.tokens[name] = told[1]
            entries.append(told[3])
        self.environment["FLOTILLA_CONSOLE_TOKENS"] = ",".join(entries)

    def console(self, *words: object) -> None:
        self.add("console", [FLOTILLA, "console", "--http", self.console_port, "--admin", 0, *words],
                 lambda: listens(("127.0.0.1", self.console_port)))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ConsoleSite]:
    site = ConsoleSite(tmp_path / "site")
    yield site
    site.end()


@pytest.fixture
def browse(tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    browsers: list[Browser] = []

    def browse(**more: object) -> Browser:
        browsers.append(Browser(tmp_path / f"browser-{len(browsers)}", **more))
        return browsers[-1]

    yield browse
    for browser in browsers:
        browser.end()


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    chromium = subprocess.run(["chromium", "--version"] + (["--no-sandbox"] if os.getuid() == 0 else []), capture_output=True)
    assert chromium.returncode == 0, "make setup installs chromium"


__all__ = ["until"]
