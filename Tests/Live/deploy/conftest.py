from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that users of containers reach, other than pytest's own."""
    if os.getuid() != 0:
        pytest.skip("namespaces and users of containers need root")
    # Within a chroot, and in many a container, nobody makes namespaces.
    tried = subprocess.run(
        ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--no-new-privs", "bwrap", "--unshare-user",
         "--ro-bind", "/", "/", "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"bubblewrap cannot be used here: {tried.stderr.strip()}")
    path = Path(tempfile.mkdtemp(prefix="flotilla-deploy-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)
