"""`flotilla new`: what it writes builds without a warning, passes its own test, and does what its README says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from outside import ROOT, SCRATCH, swift_command
from processes import Site

NAME = "greeting-worker"


def new(folder: Path, *arguments: object, program: Path = ROOT / "bin/flotilla") -> subprocess.CompletedProcess[str]:
    words = [str(word) for word in (program, "new", *arguments)]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["", "9lives", "a b", "../9lives", "..", "Kafka", "flotilla", "class", "x" * 65])
def test_bad_names(tmp_path: Path, name: str) -> None:
    result = new(tmp_path, name)
    assert result.returncode == 2
    assert "name" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis").write_text("precious")
    result = new(tmp_path, "mine")
    assert result.returncode == 1
    assert "not empty" in result.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis"]
    # What is empty, but for what a repository begins with, is room enough.
    (tmp_path / "begun" / ".git").mkdir(parents=True)
    assert new(tmp_path, "begun").returncode == 0


def test_a_package_lies_where_its_path_says_and_not_in_the_checkout(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    assert new(here, "../beside/mine").returncode == 0
    assert (tmp_path / "beside/mine/Sources/mine/Greeter.swift").exists() and list(here.iterdir()) == []
    for folder, name in ((ROOT, "mine"), (ROOT / "docs", "deeper/mine"), (tmp_path, f"{ROOT}/mine")):
        result = new(folder, name)
        assert result.returncode == 1 and f"flotilla new {ROOT}/../mine" in result.stderr
    assert not (ROOT / "mine").exists() and not (ROOT / "docs/deeper").exists()


def test_the_checkout_is_found_or_asked_for(tmp_path: Path) -> None:
    stray = tmp_path / "flotilla"
    stray.write_bytes((ROOT / "bin/flotilla").read_bytes())
    stray.chmod(0o755)
    result = new(tmp_path, "lost", program=stray)
    assert result.returncode == 2
    assert "--path" in result.stderr
    assert new(tmp_path, "lost", "--path", tmp_path, program=stray).returncode == 2
    assert new(tmp_path, "found", "--path", ROOT, program=stray).returncode == 0
    assert f'"{ROOT}"' in (tmp_path / "found/Package.swift").read_text()


def test_a_new_package_works(tmp_path: Path) -> None:
    made = new(tmp_path, NAME)
    assert made.returncode == 0, made.stderr
    package = tmp_path / NAME
    assert "warning:" not in swift_command(package, "build", "--build-tests")
    assert "2 tests" in swift_command(package, "test", "--skip-build", "--disable-xctest")

    data = tmp_path / "data"
    data.mkdir()
    site = Site(data, SCRATCH / "debug" / NAME, package / "topics")
    try:
        assert site.run("topics", "apply").returncode == 0
        site.start(site.worker, "work")
        # As the README says it, with kcat.
        publish, read = [line.strip() for line in made.stdout.splitlines() if "kcat" in line]
        assert publish in (package / "README.md").read_text() and read in (package / "README.md").read_text()
        # Its broker is the fleet's there.
        publish, read = [line.replace("127.0.0.1:9092", site.broker) for line in (publish, read)]
        subprocess.run(publish, shell=True, env=site.environment, check=True, timeout=60)
        answer = subprocess.run(read, shell=True, env=site.environment, capture_output=True, check=True, timeout=60)
        assert json.loads(answer.stdout) == {"text": "Hello, Ada!"}, site.log()
        # Sent again it is nothing new; who has no name is kept.
        site.publish([("2", {"name": "Bo"}), ("2", {"name": "Bo"}), ("3", {})], topic="names")
        greetings = site.read("greetings", lambda found: len(found) >= 2)
        assert sorted(json.loads(message.value())["text"] for message in greetings) == ["Hello, Ada!", "Hello, Bo!"]
        letters = site.read("names.greeter.dlq", lambda found: len(found) >= 1)
        assert [message.value() for message in letters] == [b"{}"], site.log()
    finally:
        site.end()
