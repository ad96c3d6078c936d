from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that users of containers reach, other than pytest's own."""
    if os.getuid() != 0:
        pytest.skip("namespaces and users of containers need root")
    path = Path(tempfile.mkdtemp(prefix="flotilla-deploy-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)
