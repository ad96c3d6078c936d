"""What processes say on standard error: a line each, of which none is a payload, and not the same for ever."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from confluent_kafka import Producer

from handlers import Fleet
from outside import ROOT
from ports import free_port
from processes import launch

COUNT = 60


def test_of_what_is_said_again_and_again_some_lines_pass_and_the_rest_is_counted(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    try:
        assert fleet.run("topics", "apply").returncode == 0
        producer = Producer({"bootstrap.servers": fleet.broker})
        for number in range(COUNT):
            producer.produce("events.raw", f"no event, and a secret: {number}", key="whose")
        assert producer.flush(30) == 0
        with (tmp_path / "log").open("wb") as log:
            environment = fleet.environment | {"LOG_FORMAT": "json"}
            worker = launch([fleet.worker, "work", "ingest"], stderr=log, env=environment)
        # All of them are where nothing is left out.
        letters = fleet.read("events.raw.ingest.dlq", lambda found: len(found) >= COUNT)
        assert len(letters) == COUNT
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    finally:
        fleet.end()
    text = (tmp_path / "log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(list(line)[:3] == ["time", "level", "message"] for line in lines)
    assert "secret" not in text and "whose" not in text
    told = [line for line in lines if line["message"] == "dead letter"]
    counts = [line for line in told if "leftOut" in line]
    assert all(set(line) == {"time", "level", "message", "leftOut"} for line in counts)
    # Twenty in ten seconds: more only where it took the worker longer than that.
    assert counts and len(told) - len(counts) + sum(line["leftOut"] for line in counts) == COUNT, text
    where = {"handler", "topic", "partition", "offset", "reason"}
    assert all(where <= set(line) for line in told if line not in counts)
    # What is a number is one for whoever counts with it.
    assert all(isinstance(line[name], int) for line in told if line not in counts for name in ("partition", "offset"))


def first_line(folder: Path, terminal: bool, **more: str) -> str:
    """What a broker says first, on a terminal or to a file."""
    folder.mkdir()
    try:
        near, far = os.openpty() if terminal else os.pipe()
    except OSError as fault:
        pytest.skip(f"no terminal is to be had here: {fault}")
    environment = {name: value for name, value in os.environ.items() if name != "LOG_FORMAT"} | more
    broker = launch(
        [ROOT / "bin/flotilla", "broker", "--data", folder / "b", "--listen", f"127.0.0.1:{free_port()}"], stderr=far,
        env=environment)
    os.close(far)
    said = b""
    while b"\n" not in said:
        said += os.read(near, 4096)
    broker.send_signal(signal.SIGTERM)
    assert broker.wait(60) == 0
    os.close(near)
    return said.decode().splitlines()[0]


def test_people_get_text_and_machines_json(tmp_path: Path) -> None:
    text = re.compile(r"\d\d:\d\d:\d\d\.\d{3} INFO \w")
    assert text.match(first_line(tmp_path / "1", terminal=True))
    assert json.loads(first_line(tmp_path / "2", terminal=False))["level"] == "info"
    # Unless somebody says otherwise.
    assert json.loads(first_line(tmp_path / "3", terminal=True, LOG_FORMAT="json"))["level"] == "info"
    assert text.match(first_line(tmp_path / "4", terminal=False, LOG_FORMAT="text"))
