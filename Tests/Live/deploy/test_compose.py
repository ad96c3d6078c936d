"""docker-compose.yml: docker-compose takes it, and each service of ours runs exactly as it says, up to a counted event."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from composition import OURS, ROOT, Composition, read

HANDLERS = ["ingest", "process", "aggregate", "notify", "deadletters"]


@pytest.fixture
def fleet(folder: Path) -> Iterator[Composition]:
    fleet = Composition(folder)
    yield fleet
    fleet.end()


def test_what_every_service_promises() -> None:
    services = read()["services"]
    assert set(HANDLERS) | {"edge", "topics", "keys", "kafka", "redis", "postgres"} <= services.keys()
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in service, name
        # Kafka's image has a user of its own, and writes its configuration into its own folder.
        assert name == "kafka" or service["read_only"] and not service["user"].startswith("0:"), name
        assert service["image"] == OURS or re.fullmatch(r"\S+:v?\d+\.\d+\S*", service["image"]), f"{name} is not pinned"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        once = name in ("topics", "keys", "flotilla")
        assert service["restart"] == ("no" if once else "unless-stopped"), name
        if service["image"] == OURS and not once:
            assert service["healthcheck"]["test"] == ["CMD", "flotilla", "healthcheck"], name
        assert ("profiles" in service) == (name in ("flotilla", "prometheus", "alertmanager", "tempo", "grafana")), name


def test_what_lies_beside_it_fits() -> None:
    file = read()
    services = file["services"]
    assert file["networks"]["state"]["internal"] is True
    assert [name for name, service in services.items() if list(service["networks"]) == ["state"]] == ["keys", "postgres", "redis"]
    for name, service in services.items():
        for volume in service.get("volumes", []):
            here = volume.split(":")[0]
            assert Path(here).exists() if here.startswith("/") else here in file["volumes"], f"{name}: {here}"
    # Who watches, watches all that have an admin port, and finds them in a network that both are in.
    watched = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"][0]["dns_sd_configs"][0]
    assert sorted(watched["names"]) == sorted(name for name, service in services.items() if "--admin" in service.get("command", []))
    assert all("0.0.0.0:%s" % watched["port"] in services[name]["command"] for name in watched["names"])
    assert all("log" in services[name]["networks"] for name in [*watched["names"], "prometheus", "alertmanager", "tempo", "grafana"])
    for source in yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/fleet.yaml").read_text())["datasources"]:
        assert source["url"].removeprefix("http://").split(":")[0] in services
    traces = yaml.safe_load((ROOT / "deploy/tempo/tempo.yaml").read_text())
    (folder,) = services["tempo"]["tmpfs"]
    assert traces["storage"]["trace"]["wal"]["path"].startswith(folder.split(":")[0])


def test_the_services_run_as_it_says(fleet: Composition) -> None:
    fleet.up("edge", "console", *HANDLERS)
    ours = [fleet.running[name] for name in ("edge", "console", *HANDLERS)]
    for container in ours:
        fleet.until(lambda: container.run(*fleet.check("edge")).returncode == 0, f"{container.spec.name} to be healthy")

    # What runs is what the file promises: nobody, without rights, on a system that cannot be changed.
    told = ours[0].run("sh", "-c", "id -u; grep CapEff /proc/self/status; touch /x /usr/x /etc/flotilla/topics/x; env")
    assert told.stdout.startswith("65532\nCapEff:\t0000000000000000\n"), told
    assert told.stderr.count("Read-only file system") == 3, told
    assert ours[0].run("flotilla", "healthcheck").stdout == "127.0.0.1:9464: ready\n"
    unheard = ours[0].run("flotilla", "healthcheck", "127.0.0.1:9999")
    assert unheard.returncode == 1 and len(unheard.stderr.splitlines()) == 1
    # Redis and Postgres are not to be reached from Kafka's network, and the topics' service has no other.
    assert fleet.running["topics"].run("sh", "-c", "getent hosts redis").returncode != 0

    # Once made, the key stays.
    again = fleet.container("keys")
    token = fleet.flotilla("keys", "list")
    again.start()
    assert again.wait() == 0, again.said()
    assert fleet.flotilla("keys", "list") == token and token.count("\n") == 1

    def publish(prefix: str) -> None:
        lines = [
            json.dumps({"event_id": f"{prefix}{n}", "event_type": "click", "campaign_id": "spring", "user_id": f"u{n % 20}"})
            for n in range(100)]
        assert "100 published" in fleet.flotilla("publish", given="\n".join(lines))

    publish("first ")

    def counted() -> int:
        found = fleet.flotilla("query", "--metric", "clicks", "--campaign", "spring", "--step", "1d").splitlines()
        return sum(json.loads(line)["count"] for line in found)

    fleet.until(lambda: counted() == 100, "the clicks to be counted")

    # `--scale process=2`: the second one gets its partitions, and what comes is counted once.
    fleet.start("process", "process-2")

    def partitions() -> list[list[str]]:
        beats = map(json.loads, fleet.flotilla("workers").splitlines())
        return [part["partitions"] for beat in beats for part in beat["handlers"] if part["handler"] == "process"]

    fleet.until(lambda: len(partitions()) == 2 and all(partitions()), "a second process to have partitions")
    publish("second ")
    fleet.until(lambda: counted() == 200, "the clicks to be counted")

    # The page asks who comes.
    ask = r"exec 3<>/dev/tcp/localhost/8081; printf 'GET /api/session HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3; head -1 <&3"
    assert " 401 " in fleet.running["console"].run("bash", "-c", ask).stdout

    assert "FAILED" not in fleet.flotilla("doctor")
    # Ended as an engine ends them, each within its grace.
    for name in ("edge", "console", *HANDLERS, "process-2"):
        assert fleet.running[name].stop() == 0, fleet.running[name].said()
