"""What the scenarios share: brokers, clients, names, and the table of who passed what."""

from __future__ import annotations

import logging
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from broker import Broker
from clients.base import Admin, Client, Unsupported
from clients.confluent import ConfluentAdmin
from clients.registry import CLIENTS
from fixtures import Keep, Kept, Teams, Topic
from members import Team

TEST_LIMIT = 120
"""Seconds after which a test is stopped. No test takes a tenth of it; a hang must not become CI's."""

# Their warnings about connections that a scenario breaks on purpose would drown what a failure has to say.
for library in ("kafka", "aiokafka"):
    logging.getLogger(library).setLevel(logging.CRITICAL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clients", default=",".join(CLIENTS), help="run for these clients only (comma separated)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = [name for name in metafunc.config.getoption("--clients").split(",") if name]
    for fixture in ("client", "writer"):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, chosen, indirect=True)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker that all scenarios share which do not restart it."""
    shared = Broker(tmp_path_factory.mktemp("broker"))
    shared.start()
    yield shared
    shared.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker for one test alone."""
    own = Broker(tmp_path)
    own.start()
    yield own
    own.kill()


@pytest.fixture(scope="session")
def steward(broker: Broker) -> Iterator[Admin]:
    """Prepares what scenarios need on the shared broker; never the client under test."""
    admin = ConfluentAdmin(broker.address)
    yield admin
    admin.close()


@pytest.fixture
def client(request: pytest.FixtureRequest, broker: Broker) -> Client:
    return CLIENTS[request.param](broker.address)


@pytest.fixture
def writer(request: pytest.FixtureRequest, broker: Broker) -> Client:
    return CLIENTS[request.param](broker.address)


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Closes at the test's end, last first, what the test hands to it."""
    with ExitStack() as stack:

        def hold(thing: Kept) -> Kept:
            stack.callback(thing.close)
            return thing

        yield hold


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name no other test uses: good for a topic, a group, a transactional id."""
    plain = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    return f"{plain}-{time.time_ns() % 10**9}"


@pytest.fixture
def topic(steward: Admin, name: str) -> Topic:
    made: list[str] = []

    def make(partitions: int = 1, config: dict[str, str] | None = None) -> str:
        made.append(f"{name}-{len(made)}")
        steward.create_topic(made[-1], partitions, config=config)
        return made[-1]

    return make


@pytest.fixture
def team() -> Iterator[Teams]:
    teams: list[Team] = []

    def make(topic: str) -> Team:
        teams.append(Team(topic))
        return teams[-1]

    yield make
    for each in teams:
        each.end()


# A hang ends the test, not the run.


class Overdue(Exception):
    """A test took longer than any test may."""


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    def overdue(_signal: int, _frame: object) -> None:
        raise Overdue(f"not done after {TEST_LIMIT} s")

    signal.signal(signal.SIGALRM, overdue)
    signal.alarm(TEST_LIMIT)
    yield
    signal.alarm(0)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """A verb that the library lacks skips the scenario."""
    try:
        return (yield)
    except Unsupported as lack:
        pytest.skip(f"{column(pyfuncitem)} {lack}")


# The broker's own words beside a failure.

LOG_STARTS = pytest.StashKey[dict[Path, int]]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[LOG_STARTS] = {each.log: each.log.stat().st_size for each in Broker.running}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report: pytest.TestReport = yield
    if report.failed:
        for each in Broker.running:
            said = each.tail(item.stash[LOG_STARTS].get(each.log, 0))
            # The word stderr in its name is what --show-capture shows.
            report.sections.append((f"stderr of the broker at {each.address}", said or "(said nothing)"))
    if isinstance(item, pytest.Function):
        report.user_properties = [("row", row(item)), ("column", column(item))]
    return report


# Who passed what.

RESULTS: dict[tuple[str, int, str], dict[str, set[str]]] = {}
"""Outcomes by scenario (its file and line, for their order, and its name) and client."""


def column(item: pytest.Function) -> str:
    """The client of a test, or nothing for a test of all of them."""
    return str(item.callspec.params.get("client", "all")) if hasattr(item, "callspec") else "all"


def row(item: pytest.Function) -> str:
    """The scenario: the test's name and what it is parametrised with beside the client."""
    scenario = item.originalname.removeprefix("test_").replace("_", " ")
    params = item.callspec.params if hasattr(item, "callspec") else {}
    others = ", ".join(str(value) for key, value in params.items() if key != "client")
    return f"{scenario} ({others})" if others else scenario


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        facts = dict(report.user_properties)
        if "row" in facts:
            file, line, _ = report.location
            cells = RESULTS.setdefault((file, line or 0, str(facts["row"])), {})
            cells.setdefault(str(facts["column"]), set()).add(report.outcome)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not RESULTS:
        return
    columns = [name for name in [*CLIENTS, "all"] if any(name in cells for cells in RESULTS.values())]
    widest = max(len(scenario) for _, _, scenario in RESULTS)
    marks = {"passed": "yes", "failed": "FAILED", "skipped": "-"}
    terminalreporter.section("scenario x client  (yes: passed, -: the library has no such verb, blank: not run)")
    terminalreporter.write_line(" " * widest + "".join(f"  {name:>13}" for name in columns))
    for (_, _, scenario), cells in sorted(RESULTS.items()):
        line = scenario.ljust(widest)
        for name in columns:
            outcomes = cells.get(name, set())
            worst = next((each for each in ("failed", "passed", "skipped") if each in outcomes), None)
            line += f"  {marks[worst] if worst else '':>13}"
        terminalreporter.write_line(line)
