"""What all suites have."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder that other users may pass, and not list: root's Postgres runs as another one. It goes with the test.

    Those that pytest makes by itself are closed to all others, time and again.
    """
    folder = Path(tempfile.mkdtemp(prefix="flotilla-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
