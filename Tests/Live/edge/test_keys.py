"""`flotilla keys`, and the file that it writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from site_of_processes import FLOTILLA


@pytest.mark.parametrize("topics", ["a\nb", "a\tb", "a\rb", "*,a", "a/b", "a b", "", ",", "a,,b", "..", "x" * 250])
def test_keys_are_made_for_topics_only(tmp_path: Path, topics: str) -> None:
    def keys(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([FLOTILLA, "keys", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert keys("create", "shop", "--topics", "events.raw,orders").returncode == 0
    before = (tmp_path / "keys").read_text()
    done = keys("create", "till", "--topics", topics)
    assert done.returncode == 2 and "--topics" in done.stderr and done.stderr.count("\n") == 1
    assert (tmp_path / "keys").read_text() == before
    assert " events.raw,orders " in keys("list").stdout


def test_keys_have_nothing_to_do_with_a_fleet(tmp_path: Path) -> None:
    done = subprocess.run(
        [FLOTILLA, "keys", "revoke", "nosuch"], cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "flotilla: no key in ./keys is called, or belongs to, nosuch\n"
