"""`flotilla topics`: the examples of docs/topics.md as they stand, its exit codes, and what it prints for programs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker import BINARY, Broker
from ports import free_port

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "topics.md"
Flotilla = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"), fsync="never")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def flotilla(tmp_path: Path) -> Flotilla:
    """Runs the command in the test's folder, with these settings and no others."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], **settings}
        return subprocess.run(
            [BINARY, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    return run


def page_files(folder: Path) -> None:
    """Write the files that the page shows."""
    for name, content in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def test_the_page_shows_what_happens(tmp_path: Path, kafka: Broker) -> None:
    page_files(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "flotilla").symlink_to(BINARY.resolve())
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "KAFKA_BROKERS": kafka.address}
    blocks = re.findall(r"<!-- run -->\n```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 4
    status = 0
    for block in blocks:
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = step.partition("\n")
            script = f"(exit {status}); {command}"
            # Warnings are told on the error channel, at once; the rest as it is done.
            run = subprocess.run(
                ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
            )
            status = run.returncode
            assert run.stderr + run.stdout == expected, command


def test_exit_codes(tmp_path: Path, kafka: Broker, flotilla: Flotilla) -> None:
    page_files(tmp_path)
    there = {"KAFKA_BROKERS": kafka.address}
    assert flotilla("topics", "plan", **there).returncode == 3
    assert flotilla("topics", "apply", **there).returncode == 0
    assert flotilla("topics", "plan", **there).returncode == 0
    assert flotilla("topics", "apply", **there).stdout == "nothing to do\n"
    assert flotilla("topics", "plan", FLOTILLA_NAMESPACE="other", **there).returncode == 3
    assert flotilla("topics", "check").returncode == 0
    assert flotilla("topics", "check", "--against", "topics").returncode == 0
    assert flotilla("topics", "check", "--against", "nowhere").returncode == 1
    assert flotilla("topics").returncode == 2
    assert flotilla("topics", "sail").returncode == 2
    assert flotilla("topics", "plan", "now", **there).returncode == 2
    assert flotilla("topics", "--help").returncode == 0
    assert flotilla("topics", "apply", "--help").returncode == 0


def test_every_wrong_setting_is_told(tmp_path: Path, flotilla: Flotilla) -> None:
    page_files(tmp_path)
    (tmp_path / "brokers").write_text("no port\n")
    run = flotilla(
        "topics", "plan", KAFKA_BROKERS_FILE="brokers", FLOTILLA_NAMESPACE="Prod", LIBRDKAFKA_ACKS="0",
        LIBRDKAFKA_GROUP_ID="mine", LIBRDKAFKA_SASL_PASSWORD="hunter2", LIBRDKAFKA_NO_SUCH_OPTION="1",
        KAFKA_PORT="tcp://10.0.0.1:9092",
    )
    assert run.returncode == 1
    for name in ("KAFKA_BROKERS", "FLOTILLA_NAMESPACE", "LIBRDKAFKA_ACKS", "LIBRDKAFKA_GROUP_ID", "LIBRDKAFKA_NO_SUCH"):
        assert name in run.stderr
    assert "5 wrong settings" in run.stderr
    assert "hunter2" not in run.stderr and "KAFKA_PORT" not in run.stderr
    missing = flotilla("topics", "plan")
    assert missing.returncode == 1 and "KAFKA_BROKERS is not set" in missing.stderr


def test_a_broker_that_is_away_is_told(tmp_path: Path, flotilla: Flotilla) -> None:
    page_files(tmp_path)
    address = f"127.0.0.1:{free_port()}"
    run = flotilla("topics", "plan", KAFKA_BROKERS=address)
    assert run.returncode == 1
    assert f"no broker answers at {address}: start one there, or set KAFKA_BROKERS" in run.stderr


def test_programs_get_json(tmp_path: Path, kafka: Broker, flotilla: Flotilla) -> None:
    page_files(tmp_path)
    there = {"KAFKA_BROKERS": kafka.address, "FLOTILLA_NAMESPACE": "test"}
    plan = json.loads(flotilla("topics", "plan", "--json", **there).stdout)
    assert [change["action"] for change in plan["changes"]] == ["create"] * 7
    assert plan["changes"][0]["topic"] == "test.invoices"
    done = json.loads(flotilla("topics", "apply", "--json", **there).stdout)
    assert [change["topic"] for change in done["done"]] == [change["topic"] for change in plan["changes"]]
    assert done["faults"] == []
    empty = json.loads(flotilla("topics", "plan", "--json", **there).stdout)
    assert empty == {"changes": [], "refusals": [], "warnings": [], "leftovers": []}

    file = tmp_path / "topics" / "orders.yaml"
    file.write_text(file.read_text().replace("partitions: 3", "partitions: 2"))
    shrunk = flotilla("topics", "apply", "--json", **there)
    assert shrunk.returncode == 1 and json.loads(shrunk.stdout)["done"] == []
    assert "cannot be taken away" in json.loads(shrunk.stdout)["faults"][0]

    (tmp_path / "topics" / "bad.yaml").write_text("name: bad\npartitions: many\n")
    checked = flotilla("topics", "check", "--json")
    fault = json.loads(checked.stdout)["faults"][0]
    assert checked.returncode == 1 and (fault["line"], fault["column"]) == (2, 13)
