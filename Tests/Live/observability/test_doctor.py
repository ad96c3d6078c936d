"""`flotilla doctor` in a running fleet: each fault that it names is made, and it names that one and says what to do."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from outside import ROOT
from ports import free_port
from processes import until
from site_of_letters import WORKER, Site, orders
from stacks import FLOTILLA, Stack


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Says 410 to one, 500 to others."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(410 if self.path == "/gone" else 500)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class SlowWay(threading.Thread):
    """Passes on what comes to it, each piece a second and a half later."""

    def __init__(self, target: Path) -> None:
        super().__init__(daemon=True)
        self.target = target
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self) -> None:
        while True:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self.target))
            for one, other, wait in ((near, far, 1.5), (far, near, 0)):
                threading.Thread(target=self.carry, args=(one, other, wait), daemon=True).start()

    @staticmethod
    def carry(one: socket.socket, other: socket.socket, wait: float) -> None:
        try:
            while piece := one.recv(65536):
                time.sleep(wait)
                other.sendall(piece)
        except OSError:
            pass
        other.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("doctor")
    for parent in [folder, *folder.parents][:3]:
        parent.chmod(0o755)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shutil.copytree(ROOT / "topics", folder / "topics")
    hooks = [{"name": name, "webhook": f"http://127.0.0.1:{server.server_port}/{name}"} for name in ("gone", "broken")]
    rule = {"name": "orders", "event": {"type": "order.created"}, "channels": ["gone", "broken"], "template": "{{ value }}"}
    (folder / "topics" / "rules.yaml").write_text(
        json.dumps({"allowPrivate": True, "channels": hooks, "rules": [rule]}))
    stack = Stack(folder)
    stack.environment |= {
        "FLOTILLA_TOPICS": str(folder / "topics"), "FLOTILLA_WEBHOOK_SECRET": "whsec_" + "c2VjcmV0" * 5}
    try:
        stack.up()
        yield stack
    finally:
        stack.end()
        server.shutdown()


def doctor(stack: Stack, *before: object, program: Path = Path(FLOTILLA), **more: str) -> dict[str, dict]:
    """What it says; with `more` in place of what the stack itself has."""
    if more:
        more = stack.file["settings"] | more
    words = [*map(str, before), str(program), "doctor", "--json"]
    done = subprocess.run(words, env=stack.environment | more, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("["), done.stdout + done.stderr
    found = {one["subject"]: one for one in json.loads(done.stdout)}
    assert (done.returncode == 1) == any(one["state"] == "failed" for one in found.values())
    # Whatever is not well comes with what to do about it.
    assert all("advice" in one for one in found.values() if one["state"] != "ok"), found
    return found


def ill(found: dict[str, dict]) -> set[str]:
    return {subject for subject, one in found.items() if one["state"] != "ok"}


def test_a_fleet_that_is_well(stack: Stack) -> None:
    until(lambda: ill(doctor(stack)) == set(), "a fleet that is well")


def test_broker_away(stack: Stack) -> None:
    found = doctor(stack, KAFKA_BROKERS=f"127.0.0.1:{free_port()}")
    assert ill(found) == {"broker"} and "is it running" in found["broker"]["advice"]


def test_topic_missing(stack: Stack, tmp_path: Path) -> None:
    shutil.copytree(stack.environment["FLOTILLA_TOPICS"], tmp_path / "topics")
    (tmp_path / "topics" / "parcels.yaml").write_text("name: parcels\npartitions: 2\nconsumers: [{handler: ingest}]\n")
    found = doctor(stack, FLOTILLA_TOPICS=str(tmp_path / "topics"))
    assert "topics" in ill(found) and "parcels" in found["topics"]["detail"]
    assert "topics apply" in found["topics"]["advice"]


def post(stack: Stack, count: int = 20) -> None:
    now = int(time.time() * 1000)
    stack.post(*({"event_type": "order.created", "campaign_id": f"c{n}", "timestamp": now, "value": n} for n in range(count)))


def test_a_group_that_an_operator_holds(stack: Stack) -> None:
    assert stack.run("pause", "ingest", "--reason", "wait for the mend").returncode == 0
    try:
        # The worker hears of it within a second, and has what it took before.
        def stands() -> bool:
            post(stack)
            return "handler ingest" in ill(doctor(stack))

        until(stands, "the doctor to see that it stands")
        found = doctor(stack)["handler ingest"]
        assert found["state"] == "failed" and "wait for the mend" in found["detail"] and "resume ingest" in found["advice"]
    finally:
        assert stack.run("resume", "ingest").returncode == 0
    until(lambda: "handler ingest" not in ill(doctor(stack)), "it to go on")


def test_a_group_that_is_stuck(stack: Stack) -> None:
    name = next(name for name in stack.processes if name.startswith("process"))
    os.kill(stack.processes[name], signal.SIGSTOP)
    try:
        def stands() -> bool:
            post(stack)
            return "handler process" in ill(doctor(stack))

        until(stands, "the doctor to see that it stands still")
        found = doctor(stack)["handler process"]
        # Later, when the group has noticed, nobody works any more.
        if "0 workers" not in found["detail"]:
            assert "finished nothing in three seconds" in found["detail"], found
            assert "have said nothing meanwhile" in found["advice"] and "skip" not in found["advice"], found
    finally:
        os.kill(stack.processes[name], signal.SIGCONT)
    until(lambda: "handler process" not in ill(doctor(stack)), "it to go on")


def test_one_partition_that_stands_still(stack: Stack) -> None:
    def psql(*words: str) -> subprocess.Popen[str]:
        line = ["/usr/lib/postgresql/15/bin/psql", stack.file["settings"]["DATABASE_URL"], "-qAt", *words]
        return subprocess.Popen(line, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)

    post(stack)
    where = "FROM process.flotilla_positions WHERE topic = 'events.accepted'"

    def used() -> str:
        return psql("-c", f"SELECT partition {where} AND next_offset > 0 ORDER BY 1 LIMIT 1").communicate(timeout=30)[0].strip()

    until(lambda: used() != "", "a partition that is worked on")
    partition = used()
    # Somebody else has its row, so its transactions wait and those of the others do not.
    holder = psql()
    assert holder.stdin is not None and holder.stdout is not None
    try:
        holder.stdin.write(f"BEGIN; SELECT 'held' {where} AND partition = {partition} FOR UPDATE;\n")
        holder.stdin.flush()
        assert holder.stdout.readline().strip() == "held"

        found: dict[str, dict] = {}

        def stands() -> bool:
            post(stack)
            found.clear()
            found.update(doctor(stack))
            return "handler process" in ill(found)

        until(stands, "the doctor to see that it is stuck")
        # The endpoints that the orders go to are dead, which is another test's.
        assert ill(found) - {"endpoint gone", "endpoint broken"} == {"handler process"}, found
        one = found["handler process"]
        told = rf"finished nothing in (three|eight) seconds of events\.accepted {partition} at offset \d+"
        assert one["state"] == "warning", one
        assert re.fullmatch(rf"\d+ workers?, group stable, \d+ records? behind, and {told}", one["detail"]), one
        assert "the worker's log says what it waits for" in one["advice"]
    finally:
        holder.stdin.close()
        holder.wait(30)
    until(lambda: "handler process" not in ill(doctor(stack)), "it to go on")


@pytest.fixture
def clerk(tmp_path: Path) -> Iterator[Site]:
    """A handler of strict order whose calls last for as long as a file says."""
    site = Site(tmp_path)
    try:
        site.broken.write_text("slow")
        yield site
    finally:
        site.end()


def deadline(site: Site, limit: str) -> None:
    """For the clerk, from its next start on."""
    file = site.topics / "orders.yaml"
    told = file.read_text()
    file.write_text(told.replace("  - handler: clerk\n", f"  - handler: clerk\n    deadline: {limit}\n"))
    assert file.read_text() != told


def of_clerk(site: Site, word: str) -> dict:
    """What the doctor says once that has this word in it."""
    found: dict = {}

    def says() -> bool:
        told = json.loads(site.run("doctor", "--json").stdout)
        found.update(next(one for one in told if one["subject"] == "handler clerk"))
        return word in found["detail"]

    until(says, f"{word!r} of {found}", 90)
    return found


def test_a_call_that_takes_its_time_is_no_trouble(clerk: Site) -> None:
    deadline(clerk, "10m")
    clerk.handle("clerk")
    clerk.publish(orders(1, "slow"))
    found = of_clerk(clerk, "and is at")
    told = r", and is at orders [0-2] at offset 0, for \d+ s of the 600 s that a call may take$"
    assert re.search(told, found["detail"]), found
    assert found["state"] == "ok" and "advice" not in found
    # Nor is a record that is tried again when its handler said.
    clerk.broken.write_text("later")
    until(lambda: clerk.committed("clerk") == 1, "the first one")
    clerk.publish(orders(1, "later"), 1)
    found = of_clerk(clerk, "tried again")
    assert re.search(r", and is at orders [0-2] at offset [01], tried again in \d+ s$", found["detail"]), found
    assert found["state"] == "ok" and "advice" not in found


def test_a_call_that_is_over_its_time_is_to_be_taken_out_of_the_way(clerk: Site) -> None:
    deadline(clerk, "1s")
    clerk.handle("clerk")
    clerk.publish(orders(1, "slow"))
    found = of_clerk(clerk, "over its deadline")
    assert re.search(r"over its deadline: orders [0-2] at offset 0, for \d+ s of the 1 s", found["detail"]), found
    assert found["state"] == "warning" and "skip takes it out of the way" in found["advice"]


def words(site: Site) -> list[dict]:
    """What its running workers say of themselves as clerks."""
    found = [json.loads(line) for line in site.run("workers").stdout.splitlines()]
    return [one["handlers"][0] | {"pid": one["pid"]} for one in found]


def test_a_worker_that_hangs_is_not_spoken_for_by_another(clerk: Site) -> None:
    for name in ("one", "other"):
        clerk.add(name, [WORKER, "work", "clerk"], lambda: True)

    def shared() -> bool:
        return sorted(sum(place.startswith("orders/") for place in one["partitions"]) for one in words(clerk)) == [1, 2]

    hung, found = clerk.parts["one"].process.pid, {}

    def told() -> bool:
        """What is said in the ten seconds in which it is still a member."""
        until(shared, "both to have partitions")
        os.kill(hung, signal.SIGSTOP)
        try:
            clerk.publish(orders(60), len(clerk.read("orders")))
            found.update(next(one for one in json.loads(clerk.run("doctor", "--json").stdout) if one["subject"] == "handler clerk"))
            return "finished nothing" in found["detail"]
        finally:
            os.kill(hung, signal.SIGCONT)

    until(told, f"it to be seen: {found}", 120)
    assert found["state"] == "warning", found
    assert "nobody who has it has said anything meanwhile" in found["advice"], found


def test_a_pause_of_one_partition_is_not_the_whole_handlers(clerk: Site) -> None:
    deadline(clerk, "10m")
    clerk.handle("clerk")
    clerk.publish(orders(1, "slow"))
    place = re.search(r"and is at orders (\d) ", of_clerk(clerk, "and is at")["detail"])
    other = (int(place.group(1)) + 1) % 3
    assert clerk.run("pause", "clerk", "--partition", str(other), "--reason", "audit").returncode == 0
    until(lambda: any(one["operator"] for one in words(clerk)), "the worker to hear of it")
    found = of_clerk(clerk, "and ")
    assert found["state"] == "ok" and "and is at orders" in found["detail"], found
    assert clerk.run("resume", "clerk", "--partition", str(other)).returncode == 0
    assert clerk.run("pause", "clerk", "--partition", place.group(1), "--reason", "audit").returncode == 0
    found = of_clerk(clerk, "stands still")
    assert found["state"] == "failed" and f"paused partition {place.group(1)}: audit" in found["detail"], found


def test_what_a_broker_cannot_read_is_named_and_the_rest_is_judged(clerk: Site) -> None:
    clerk.handle("clerk")
    clerk.publish(orders(60))
    until(lambda: clerk.committed("clerk") == 60, "the orders")
    clerk.parts["broker"].end()
    (log,) = (clerk.folder / "broker/topics/orders").glob("*/1/*.log")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0xFF
    log.write_bytes(data)
    clerk.parts["broker"].start()

    found: dict[str, dict] = {}

    def says() -> bool:
        found.update({one["subject"]: one for one in json.loads(clerk.run("doctor", "--json").stdout)})
        return found["handler clerk"]["detail"].startswith("1 worker, group stable, ")

    until(says, f"the worker to be back: {found}")
    assert found["broker"]["state"] == "ok", found
    one = found["handler clerk"]
    assert one["state"] == "warning" and "cannot read its disk" in one["advice"], one
    assert one["detail"].endswith("at least 0 records behind; how much waits in orders 1 was not told"), one


def test_a_worker_whose_topics_no_file_names_is_looked_at_and_missed(clerk: Site) -> None:
    clerk.handle("clerk")
    clerk.publish(orders(30))
    until(lambda: clerk.committed("clerk") == 30, "the orders")
    # From here on with the topic files of somebody who knows nothing of the clerk.
    (clerk.topics / "orders.yaml").unlink()

    def says(command: str, *more: str) -> dict:
        done = clerk.run(command, "--json", *more)
        found = json.loads(done.stdout)
        found = found["handlers"] if command == "status" else [{"handler": one["subject"].removeprefix("handler ")} | one for one in found]
        return next((one for one in found if one["handler"] == "clerk"), {})

    found = says("doctor")
    assert found["state"] == "ok", found
    assert re.fullmatch(r"1 worker, group stable, 0 records behind; no topic file here names it, so its group alone was looked at",
                        found["detail"]), found
    found = says("status")
    assert (found["workers"], found["partitions"], found["lag"]) == (1, 3, 0), found
    # Gone, with nothing left to do, it is of the past.
    clerk.parts["clerk"].process.send_signal(signal.SIGTERM)
    assert clerk.parts["clerk"].process.wait(60) == 0
    assert says("doctor") == {} and says("status") == {}
    clerk.publish(orders(7), 30)
    found = says("doctor")
    assert found["state"] == "warning" and found["detail"].startswith("0 workers, group empty, 7 records behind; "), found
    assert "nobody works: start its worker where its topic files are" in found["advice"], found
    found = says("status")
    assert (found["workers"], found["partitions"], found["lag"]) == (0, 3, 7), found
    assert "nobody works and 7 records wait: no topic file here names it" in found["advice"], found


def test_workers_that_cannot_be_asked_are_not_blamed(clerk: Site) -> None:
    clerk.handle("clerk")
    clerk.publish(orders(1, "slow"))
    of_clerk(clerk, "and is at")
    del clerk.environment["REDIS_URL"]
    found = of_clerk(clerk, "finished nothing in three seconds of orders ")
    assert found["state"] == "warning" and "REDIS_URL" in found["advice"] and "skip" not in found["advice"]


def test_endpoints_that_are_dead(stack: Stack) -> None:
    post(stack, 1)
    until(lambda: {"endpoint gone", "endpoint broken"} <= ill(doctor(stack)), "the doctor to see them")
    found = doctor(stack)
    assert found["endpoint gone"]["state"] == "failed" and "endpoints enable gone" in found["endpoint gone"]["advice"]
    assert found["endpoint broken"]["state"] == "warning" and "in a row" in found["endpoint broken"]["detail"]


def test_redis_full_and_away(stack: Stack) -> None:
    url = stack.file["settings"]["REDIS_URL"]
    place = ["-s", url.removeprefix("unix://")] if url.startswith("unix:") else ["-u", url]

    def configure(limit: str) -> None:
        done = subprocess.run(["redis-cli", *place, "config", "set", "maxmemory", limit], capture_output=True, text=True)
        assert done.stdout.strip() == "OK", done

    configure("1mb")
    try:
        found = doctor(stack)
        assert found["redis"]["state"] == "failed" and "nearly full" in found["redis"]["advice"]
    finally:
        configure("0")
    found = doctor(stack, REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert found["redis"]["state"] == "failed" and "is it running" in found["redis"]["advice"]


def test_postgres_slow_and_away(stack: Stack) -> None:
    socket_file = next(Path(stack.data / "postgres").resolve().rglob(".s.PGSQL.*[0-9]"), None)
    place = urllib.parse.urlsplit(stack.file["settings"]["DATABASE_URL"])
    assert socket_file is not None, place
    way = SlowWay(socket_file)
    user, name = urllib.parse.parse_qs(place.query)["user"][0], place.path.strip("/")
    found = doctor(stack, AGGREGATE_DATABASE_URL=f"postgresql://{user}@127.0.0.1:{way.port}/{name}")
    assert found["database of aggregate"]["state"] == "warning", found["database of aggregate"]
    assert "slow" in found["database of aggregate"]["advice"]
    found = doctor(stack, AGGREGATE_DATABASE_URL=f"postgresql://{user}@127.0.0.1:{free_port()}/{name}")
    assert found["database of aggregate"]["state"] == "failed"


def test_a_clock_that_is_wrong(stack: Stack) -> None:
    # Behind, and for the time of day alone: who waits until a time that its clock has yet to reach would wait for long.
    # libfaketime and jemalloc wait for each other at the start; the debug build has the C library's allocator.
    found = doctor(
        stack, "env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "faketime", "-f", "-90s",
        program=ROOT / ".build/debug/flotilla")
    assert found["redis' clock"]["state"] == "warning" and "behind" in found["redis' clock"]["detail"]
    assert "timedatectl" in found["redis' clock"]["advice"]
