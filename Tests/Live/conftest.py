"""What all suites have."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import librdkafka
from processes import nothing_is_left  # noqa: F401 (for all tests)

if librdkafka.is_newest_meant():
    # For every process that a test starts.
    os.environ["LD_PRELOAD"] = str(librdkafka.newest())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests begin first, each in another worker: begun last, they would be waited for alone."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    rest = iter([item for item in items if not item.get_closest_marker("long")])
    count, ordered = len(items), []
    for number in range(workers):
        # As many as the worker gets to begin with.
        share = (count - len(ordered)) // (workers - number)
        first = long[number::workers]
        ordered += first + list(itertools.islice(rest, max(0, share - len(first))))
    items[:] = ordered + list(rest)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that other users may pass, and not list: root's Postgres runs as another one. It goes with the test.

    Those that pytest makes by itself are closed to all others, time and again.
    """
    folder = Path(tempfile.mkdtemp(prefix="flotilla-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
