"""What tests start ends with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from processes import ROOT
from ports import listens

SITE = """
from pathlib import Path
import pytest
from processes import Site, nothing_is_left

class Broken(Site):
    def __init__(self, folder):
        super().__init__(folder, Path("/bin/true"), folder)
        Path("{note}").write_text(self.broker)
        raise OSError("the third server does not start")

@pytest.fixture
def site(tmp_path):
    site = Broken(tmp_path)
    yield site
    site.end()

def test_nothing(site):
    pass
"""


def test_a_site_that_was_only_begun_leaves_nothing_running(tmp_path: Path) -> None:
    note = tmp_path / "broker"
    file = tmp_path / "test_broken.py"
    file.write_text(SITE.format(note=note))
    live = ROOT / "Tests" / "Live"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-c", live / "pytest.ini", "--rootdir", tmp_path, file],
        capture_output=True, text=True, timeout=120)
    assert "the third server does not start" in done.stdout
    port = int(note.read_text().split(":")[1])
    assert not listens(("127.0.0.1", port))
