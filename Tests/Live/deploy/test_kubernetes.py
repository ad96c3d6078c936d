"""deploy/kubernetes: valid against the schemas of Kubernetes, right by itself, and its pods run as it says."""

from __future__ import annotations

import copy
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate import utils

import dockerfile
from manifests import FOLDER, ROOT, Cluster, kubectl, named, objects, pod

HANDLERS = ["ingest", "process", "aggregate", "notify"]
# Of those one is enough: nobody scales them.
ALONE = ["deadletters", "console"]
ROLES = ["edge", *HANDLERS, *ALONE]
KUBERNETES = "1.34"
# Not part of Kubernetes: what they say is looked at below.
FOREIGN = {"ScaledObject"}


def test_the_schemas_of_kubernetes_take_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # It reads megabytes anew for every object.
    monkeypatch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
    found = {(one["kind"], one["metadata"]["name"]): one for one in objects("hpa", "keda", "topics", "secrets.example.yaml")}
    assert len(found) > 35
    for one in found.values():
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
    edge = copy.deepcopy(found["Deployment", "flotilla-edge"])
    edge["spec"]["template"]["spec"]["enableServiceLink"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(edge, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", ["hpa", "keda", "topics"])
def test_kustomize_brings_them_together(name: str) -> None:
    if not kubectl():
        pytest.skip("kubectl is not installed")
    run = subprocess.run(["kubectl", "kustomize", FOLDER / name], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    built = list(yaml.safe_load_all(run.stdout))
    assert {(one["kind"], one["metadata"]["name"]) for one in built} == {
        (one["kind"], one["metadata"]["name"]) for one in objects(name)}
    assert all(one["metadata"].get("namespace") == "flotilla" for one in built if one["kind"] != "Namespace")


@pytest.mark.parametrize("scaling", ["hpa", "keda"])
def test_what_every_role_has(scaling: str) -> None:
    found = objects(scaling)
    deployments, accounts = named(found, "Deployment"), named(found, "ServiceAccount")
    scalers = [one for one in found if one["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    scaled = [one["spec"]["scaleTargetRef"]["name"] for one in scalers]
    assert sorted(deployments) == sorted(f"flotilla-{role}" for role in ROLES)
    assert sorted(scaled) == sorted(f"flotilla-{role}" for role in ROLES if role not in ALONE)
    for role in ROLES:
        name, labels = f"flotilla-{role}", {"app.kubernetes.io/name": "flotilla", "app.kubernetes.io/component": role}
        deployment, inside = deployments[name], pod(deployments[name])
        (container,) = inside["containers"]
        assert deployment["spec"]["template"]["metadata"]["labels"] == labels
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        # Whoever scales says how many: a number here would set it back with every roll-out.
        assert deployment["spec"].get("replicas") == (1 if role in ALONE else None)
        assert named(found, "Service")[name]["spec"]["selector"] == labels
        assert named(found, "PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels
        assert named(found, "NetworkPolicy")[name]["spec"]["podSelector"]["matchLabels"] == labels
        assert inside["serviceAccountName"] in accounts
        assert inside["enableServiceLinks"] is False and inside["automountServiceAccountToken"] is False
        assert (inside["securityContext"]["runAsUser"], inside["securityContext"]["runAsGroup"]) == dockerfile.read()[-1].user
        spread = inside["topologySpreadConstraints"]
        assert {one["topologyKey"] for one in spread} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        assert all(one["labelSelector"]["matchLabels"] == labels for one in spread)
        before = int(container["lifecycle"]["preStop"]["exec"]["command"][1]) if "lifecycle" in container else 0
        # What is under way has 20 s.
        assert inside["terminationGracePeriodSeconds"] >= before + 20 + 10
        assert {port["name"]: port["containerPort"] for port in container["ports"]}["admin"] == 9464
        assert container["args"][container["args"].index("--admin") + 1] == "0.0.0.0:9464"
        for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
            assert container[probe]["httpGet"] == {"path": path, "port": "admin"}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys() and "memory" in container["resources"]["limits"]


def test_keda_asks_about_what_the_topic_files_say() -> None:
    topics = {topic["name"]: topic for path in (ROOT / "topics").glob("*.*.yaml") for topic in [yaml.safe_load(path.read_text())]}
    brokers = named(objects("base"), "ConfigMap")["flotilla"]["data"]["KAFKA_BROKERS"]
    scaled = named(objects("keda"), "ScaledObject")
    for handler in HANDLERS:
        spec = scaled[f"flotilla-{handler}"]["spec"]
        read = {name for name, topic in topics.items() if any(one["handler"] == handler for one in topic.get("consumers", []))}
        assert {trigger["metadata"]["topic"] for trigger in spec["triggers"]} == read
        assert spec["maxReplicaCount"] == max(topics[name]["partitions"] for name in read)
        assert spec["minReplicaCount"] >= 1, "windows close by a worker's clock"
        for trigger in spec["triggers"]:
            assert trigger["type"] == "kafka"
            assert trigger["metadata"]["consumerGroup"] == f"flotilla.{handler}"
            assert trigger["metadata"]["bootstrapServers"] == brokers
            assert all(isinstance(value, str) for value in trigger["metadata"].values())
    for scaler in named(objects("hpa"), "HorizontalPodAutoscaler").values():
        handler = scaler["metadata"]["name"].removeprefix("flotilla-")
        if handler in HANDLERS:
            assert scaler["spec"]["maxReplicas"] == scaled[f"flotilla-{handler}"]["spec"]["maxReplicaCount"]


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    yield cluster
    cluster.end()


def test_the_pods_run_as_they_say(cluster: Cluster) -> None:
    cluster.start_parts()
    # The file of keys in the Secret is what `keys create` writes.
    keys = cluster.folder / "made"
    create = [ROOT / "bin/flotilla", "keys", "create", "shop"]
    subprocess.run(create, env={"FLOTILLA_KEYS": str(keys)}, check=True, capture_output=True)
    cluster.secrets["flotilla-edge-keys"]["stringData"]["keys"] = keys.read_text()
    job = cluster.start("flotilla-topics")
    assert job.wait() == 0, job.said()
    containers = [cluster.start(f"flotilla-{role}") for role in ROLES]
    for container in containers:
        cluster.parts.until(lambda: container.run("flotilla", "healthcheck").returncode == 0, f"{container.spec.name} to be ready")
    answer = containers[0].run("flotilla", "keys", "list")
    assert "shop" in answer.stdout, answer
    for container in containers:
        assert container.stop() == 0, container.said()
