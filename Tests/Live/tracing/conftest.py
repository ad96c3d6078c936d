from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from site_of_traces import Traced


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[Traced]:
    traced = Traced(tmp_path)
    yield traced
    traced.end()
