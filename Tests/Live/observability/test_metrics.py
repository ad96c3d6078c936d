"""What the fleet tells of itself, read by those that are to read it: Prometheus, its own checker, and the dashboard."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Producer
from prometheus_client.openmetrics import parser as openmetrics

from fleet import FLOTILLA
from fleet import Fleet as Oracle
from outside import ROOT
from ports import free_port, listens
from processes import until
from stacks import Stack

RULES = ROOT / "deploy" / "prometheus"
CAMPAIGNS = int(os.environ.get("FLOTILLA_CAMPAIGNS", "1000000"))
DASHBOARD = ROOT / "deploy" / "grafana" / "provisioning" / "dashboards" / "flotilla.json"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("fleet")
    for parent in [folder, *folder.parents][:3]:
        # Postgres runs as another user.
        parent.chmod(0o755)
    stack = Stack(folder)
    try:
        stack.up()
        now = int(time.time() * 1000)
        stack.post(*({"event_type": "click", "campaign_id": f"c{n % 5}", "timestamp": now} for n in range(300)))
        # No event: it becomes a dead letter.
        producer = Producer({"bootstrap.servers": stack.file["settings"]["KAFKA_BROKERS"]})
        producer.produce("events.raw", b"no event at all")
        assert producer.flush(30) == 0
        until(lambda: sum(stack.count(f"c{n}") for n in range(5)) == 300, "300 clicks that are counted")
        yield stack
    finally:
        stack.end()


def get(address: str, path: str = "/metrics", accept: str = "text/plain") -> tuple[str, str]:
    request = urllib.request.Request(f"http://{address}{path}", headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode(), answer.headers["content-type"]


def addresses(stack: Stack) -> dict[str, str]:
    told = json.loads(get(stack.file["admin"], "/targets")[0])
    return {one["labels"]["name"]: one["targets"][0] for one in told} | {"stack": stack.file["admin"]}


def series(address: str, process: str) -> set[str]:
    """What a process tells, without the values."""
    return {f"{process} {line.rsplit(' ', 1)[0]}" for line in get(address)[0].splitlines() if not line.startswith("#")}


# What may come to be told later, and is bounded: answers that nobody had got before, by routes, methods and statuses that we
# have; brokers, as many as there are; and partitions that somebody has taken over.
LATER = [
    r'http_server_request_duration_seconds_(bucket|sum|count)\{http_route="(/v1/events|/v1/topics/\{topic\}/events|other)",'
    r'http_request_method="(GET|POST|_OTHER)",http_response_status_code="(202|404|405|501)"(,le="[^"]+")?\}',
    r'flotilla_kafka_\w+\{client="(producer|consumer\.\w+)",broker="(\d|coordinator|bootstrap)"(,(change|for|trouble)="\w+")?\}',
    r'flotilla_(lag_records|lag_seconds|actionable_lag_records|commit_age_seconds)\{handler="\w+",topic="[\w.]+",partition="[0-5]"\}',
]


def new(before: set[str], after: set[str]) -> list[str]:
    return sorted(one for one in after - before if not any(re.fullmatch(rf"\S+ {later}", one) for later in LATER))[:20]


def promtool(*words: object, text: str | None = None) -> None:
    done = subprocess.run(["promtool", *map(str, words)], cwd=RULES, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_configurations_hold() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts.test.yml")
    for name in ("prometheus.yml", "local.yml"):
        promtool("check", "config", name)
    alerts = [rule for group in yaml.safe_load((RULES / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
    tested = {test["alertname"] for tests in yaml.safe_load((RULES / "alerts.test.yml").read_text())["tests"]
              for test in tests["alert_rule_test"]}
    assert tested == {rule["alert"] for rule in alerts}
    page = (ROOT / "docs" / "observability.md").read_text()
    for rule in alerts:
        place = rule["annotations"]["runbook"].split("#")[1]
        assert f"\n### {rule['alert']}\n" in page and place == rule["alert"].lower(), f"{rule['alert']} has no runbook"


def test_every_process_tells_what_checkers_take(fleet: Stack) -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    names = set()
    for name, address in addresses(fleet).items():
        text, kind = get(address)
        assert kind == "text/plain; version=0.0.4; charset=utf-8"
        promtool("check", "metrics", text=text)
        text, kind = get(address, accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8", name
        families = list(openmetrics.text_string_to_metric_families(text))
        assert len(families) > 3
        names |= {family.name for family in families}
    assert not [name for name in names if f"`{name}" not in page], "told, and not in docs/observability.md"


# Told once traces are on, or something has gone wrong: other tests have them.
ELSEWHERE = {"flotilla_spans_sent", "flotilla_spans_dropped", "flotilla_spans_waiting_bytes", "flotilla_traces_limited",
             "flotilla_breaker_state"}


def test_every_name_of_the_page_is_told(fleet: Stack) -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name.removesuffix("_total") for row in rows
             for name in re.findall(r"`((?:flotilla|messaging|http|process)_\w+)(?:\{\w+\})?`", row)}
    assert len(named) > 50 and named > ELSEWHERE

    def missing() -> set[str]:
        told = set().union(*(series(address, name) for name, address in addresses(fleet).items()))
        names = {re.sub(r"(_total|_bucket|_sum|_count)?(\{.*)?$", "", one.split(" ", 1)[1]) for one in told}
        return named - ELSEWHERE - names

    # Whoever has answered nobody has no answers to tell of.
    get(f"127.0.0.1:{fleet.ports[3]}", "/")
    # What takes a look at the broker, or ten seconds, comes later.
    with contextlib.suppress(AssertionError):
        until(lambda: not missing(), "the last of them")
    assert missing() == set()


def test_clients_tell_what_the_library_knows(fleet: Stack) -> None:
    def told(name: str, pattern: str) -> float:
        return sum(map(float, re.findall(rf"^{pattern} (\S+)$", get(addresses(fleet)[name])[0], re.M)))

    worker = next(name for name in addresses(fleet) if name.startswith("ingest"))
    letters = next(name for name in addresses(fleet) if name.startswith("deadletters"))
    for name, clients in (("edge", ["producer"]), (worker, ["producer", "consumer.ingest"]), (letters, ["consumer.deadletters"])):
        for client in clients:
            def labels(broker: str, client: str = client) -> str:
                return rf'\{{client="{client}",broker="{broker}"'
            until(lambda: told(name, "flotilla_kafka_connected" + labels(r"\d+") + r"\}") >= 1, f"{client} of {name}")
            assert told(name, "flotilla_kafka_requests_total" + labels(r"\d+") + r"\}") > 0
            assert told(name, "flotilla_kafka_connection_changes_total" + labels(r"\d+") + r',change="made"\}') >= 1
            assert told(name, "flotilla_kafka_request_troubles_total" + labels(r"\d+") + r',trouble="timeout"\}') == 0
            assert f'flotilla_kafka_queued_messages{{client="{client}"}}' in get(addresses(fleet)[name])[0]


def test_figures_are_what_was_done(fleet: Stack) -> None:
    def value(process: str, pattern: str) -> float:
        found = re.findall(rf"^{pattern} (\S+)$", get(addresses(fleet)[process])[0], re.M)
        return sum(map(float, found))

    process = next(name for name in addresses(fleet) if name.startswith("ingest"))
    assert value("edge", r'messaging_client_sent_messages_total\{[^}]*"events.raw"\}') >= 300
    read = r'\{handler="ingest",messaging_system="kafka",messaging_destination_name="events.raw",[^}]*\}'
    assert value(process, "messaging_client_consumed_messages_total" + read) >= 301
    assert value(process, "messaging_process_duration_seconds_count" + read) >= 300
    assert value(process, r'flotilla_outcomes_total\{handler="ingest",topic="events.raw",outcome="done"\}') >= 300
    assert value(process, r'flotilla_dead_letters_total\{handler="ingest",topic="events.raw",reason="undecodable"\}') == 1
    # How far behind it is is found once somebody has asked.
    until(lambda: re.search(r"^flotilla_lag_records", get(addresses(fleet)[process])[0], re.M) is not None, "a lag")
    until(lambda: value(process, r'flotilla_lag_records\{handler="ingest",topic="events.raw",partition="\d+"\}') == 0, "no lag")
    assert value(process, r'flotilla_lag_looked_seconds\{handler="ingest"\}') < 120
    # The same in short, beside what the worker depends on.
    health = json.loads(get(addresses(fleet)[process], "/healthz")[0])
    assert health["status"] == "ok"
    lag = health["dependencies"]["lag"]
    assert lag["status"] == "ok" and lag["records"] == 0 and lag["seconds"] == 0 and "worst" not in lag and "latency_ms" in lag


def test_labels_are_what_they_were_whatever_events_bring(fleet: Stack) -> None:
    def told() -> set[str]:
        return set().union(*(series(address, name) for name, address in addresses(fleet).items()))

    # What comes to be told once it was asked for, or after ten seconds, is.
    for part in ("flotilla_lag_records", 'flotilla_kafka_connected{client="consumer.'):
        until(lambda part=part: all(
            any(one.split(" ", 1)[1].startswith(part) for one in told() if one.startswith(f"{name} "))
            for name in addresses(fleet) if name.split("-")[0] in ("ingest", "process", "aggregate", "notify")), part)
    before = told()
    now = int(time.time() * 1000)
    for part in range(20):
        fleet.post(*(
            {"event_type": f"t{part}", "campaign_id": f"campaign-{part}-{n}", "user_id": f"u{n}", "timestamp": now}
            for n in range(500)))
    until(lambda: fleet.count("campaign-19-499", "t19") == 1, "the last of 10000 campaigns")
    for path in ("/v1/events", "/nothing/here", "/v1/topics/unknown/events"):
        for method in ("GET", "MADEUP"):
            address = fleet.file["settings"]["FLOTILLA_EDGE_URL"] + path
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(urllib.request.Request(address + f"/{now}", method=method))
    assert new(before, told()) == []


@pytest.mark.long
def test_a_million_campaigns_make_no_series(tmp_path: Path) -> None:
    """Through the edge and a handler, each event of a campaign, a user and a type of its own."""
    site = Oracle(tmp_path, appendfsync="everysec")
    admins = {name: free_port() for name in ("edge", "ingest")}
    edge = free_port()
    try:
        site.add("wide-edge", [FLOTILLA, "edge", "--http", edge, "--admin", admins["edge"]], lambda: listens(("127.0.0.1", edge)))
        site.work("ingest", "ingest", "--admin", f"{admins['ingest']}")

        def told() -> set[str]:
            return set().union(*(series(f"127.0.0.1:{port}", name) for name, port in admins.items()))

        def done() -> float:
            return sum(map(float, re.findall(
                r'^flotilla_outcomes_total\{handler="ingest",topic="events.raw",outcome="(?:done|dead)"\} (\S+)$',
                get(f"127.0.0.1:{admins['ingest']}")[0], re.M)))

        def send(numbers: range) -> None:
            now = int(time.time() * 1000)
            lines = "".join(
                f'{{"event_type":"type-{n}","campaign_id":"campaign-{n}","user_id":"user-{n}","timestamp":{now},'
                f'"dimensions":{{"key-{n}":"value-{n}"}}}}\n' for n in numbers)
            request = urllib.request.Request(
                f"http://127.0.0.1:{edge}/v1/events", lines.encode(), {"content-type": "application/x-ndjson"})
            with urllib.request.urlopen(request, timeout=120) as answer:
                assert json.load(answer)["accepted"] == len(numbers)

        until(lambda: listens(("127.0.0.1", admins["ingest"])), "the worker")
        send(range(100))
        until(lambda: done() == 100, "the first events")
        for part in ("ingest flotilla_lag_records", 'ingest flotilla_kafka_connected{client="consumer.',
                     'edge flotilla_kafka_connected{client="producer"'):
            until(lambda part=part: any(one.startswith(part) for one in told()), part)
        before = told()
        for start in range(100, CAMPAIGNS, 20_000):
            send(range(start, min(start + 20_000, CAMPAIGNS)))
        until(lambda: done() == CAMPAIGNS, "a million campaigns", 300)
        site.check_alive()
        assert new(before, told()) == []
    finally:
        site.end()


def test_prometheus_scrapes_and_every_query_of_the_dashboard_answers(fleet: Stack, tmp_path: Path) -> None:
    port = free_port()
    configuration = yaml.safe_load((RULES / "local.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(RULES / "alerts.yml")]
    stack = fleet.file["admin"]
    fleets, alone = configuration["scrape_configs"]
    fleets["http_sd_configs"] = [{"url": f"http://{stack}/targets", "refresh_interval": "1s"}]
    alone["static_configs"][0]["targets"] = [stack]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    process = subprocess.Popen(
        ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=(tmp_path / "log").open("w"))
    try:
        def ask(path: str, **query: str) -> dict:
            text = get(f"127.0.0.1:{port}", f"/api/v1/{path}?{urllib.parse.urlencode(query)}")[0]
            return json.loads(text)["data"]

        def is_there() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                found = ask("targets")["activeTargets"]
            except OSError:
                return False
            return len(found) == len(addresses(fleet)) and all(target["health"] == "up" for target in found)

        until(is_there, "Prometheus with all processes")
        queries = [
            target["expr"].replace("$__rate_interval", "20s").replace("$handler", ".+")
            for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel.get("targets", [])]
        assert len(queries) > 30
        for query in queries:
            until(lambda query=query: ask("query", query=query)["result"] != [], f"an answer to {query}")
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
        written = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
        assert {rule["name"] for rule in rules} == {rule["alert"] for group in written for rule in group["rules"]}
        # Nothing is gone: what a fleet has by its nature, such as what is done once, must not raise these.
        for rule in rules:
            if rule["name"] in ("FlotillaProcessDown", "FlotillaRoleMissing", "FlotillaStackPartDown", "FlotillaRestarts"):
                until(lambda query=rule["query"]: ask("query", query=query)["result"] == [], f"nothing of {rule['name']}")
        until(lambda: ask("query", query="max(flotilla_deadletters_follows) == 1")["result"] != [], "one who follows")
        until(lambda: all(rule["health"] == "ok" for group in ask("rules")["groups"] for rule in group["rules"]), "rules")
    finally:
        process.terminate()
        process.wait(30)
