from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser import Browser
from site_of_console import ConsoleSite


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

