"""deploy/kubernetes: its objects, and its pods as containers without a cluster."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import yaml

import certificates
from composition import ROOT, Composition, listens
from sandbox import Container, Spec

FOLDER = ROOT / "deploy/kubernetes"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

# What Kubernetes tells a pod of Services, unasked; the last two where `enableServiceLinks` is left as it comes.
INJECTED = {
    "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_PORT": "tcp://10.96.0.1:443", "KAFKA_PORT": "tcp://10.96.0.2:9092",
    "FLOTILLA_EDGE_PORT": "tcp://10.96.0.3:80",
}


def objects(*names: str) -> list[dict]:
    """What is in files, and in what a kustomization of this folder brings together."""
    found: list[dict] = []
    for name in names:
        path = FOLDER / name
        if path.is_dir():
            listed = yaml.safe_load((path / "kustomization.yaml").read_text())["resources"]
            found += objects(*(os.path.normpath(Path(name) / other) for other in listed))
        else:
            found += list(yaml.safe_load_all(path.read_text()))
    return found


def named(found: list[dict], kind: str) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def pod(one: dict) -> dict:
    return one["spec"]["template"]["spec"]


class Cluster:
    """Kafka's stand-in, a Redis and a Postgres where the manifests and the example of secrets look for them, with TLS and
    passwords as these say."""

    def __init__(self, folder: Path) -> None:
        self.parts, self.folder = Composition(folder, ("pods",)), folder
        found = objects("base", "topics", "secrets.example.yaml")
        self.workloads = named(found, "Deployment") | named(found, "Job")
        self.maps, self.secrets = named(found, "ConfigMap"), named(found, "Secret")
        self.brokers = self.maps["flotilla"]["data"]["KAFKA_BROKERS"]
        (folder / "tls").mkdir()
        certificates.make(folder / "tls", {name: f"DNS:{name}.data" for name in ("redis", "postgres")})
        for name in ("redis", "postgres"):
            key = folder / "tls" / f"{name}.key"
            os.chown(key, 999, 999)
            key.chmod(0o600)

    def start_parts(self) -> None:
        tls = (self.folder / "tls", "/tls", False)
        for name, alias in (("kafka", self.brokers.split(":")[0]), ("redis", "redis.data"), ("postgres", "postgres.data")):
            spec = self.parts.stand_in(name, self.brokers)
            spec.networks, spec.aliases = ["pods"], [alias]
            if name == "redis":
                spec.words += [
                    "--requirepass", "replace", "--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no",
                    "--tls-cert-file", "/tls/redis.crt", "--tls-key-file", "/tls/redis.key", "--tls-ca-cert-file", "/tls/ca.crt"]
            if name == "postgres":
                spec.environment |= {f"{handler}_PASSWORD": "replace" for handler in ("PROCESS", "AGGREGATE", "NOTIFY", "DEADLETTERS")}
                spec.words += ["-c", "ssl=on", "-c", "ssl_cert_file=/tls/postgres.crt", "-c", "ssl_key_file=/tls/postgres.key"]
            spec.mounts.append(tls)
            container = self.parts.contain(spec)
            self.parts.running[name] = container
            container.start()
        checks = {"kafka": listens(self.brokers),
                  "redis": ["sh", "-c", "redis-cli --tls --cacert /tls/ca.crt -a replace --no-auth-warning ping | grep -q PONG"],
                  "postgres": self.parts.check("postgres")}
        for name, check in checks.items():
            container = self.parts.running[name]
            self.parts.until(lambda: container.run(*check).returncode == 0, name)

    def spec(self, name: str) -> Spec:
        workload = self.workloads[name]
        inside = pod(workload)
        (container,), security = inside["containers"], inside["securityContext"]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **INJECTED, **self.parts.image.environment}
        for source in container["envFrom"]:
            (kind, reference), = source.items()
            if kind == "configMapRef":
                environment |= self.maps[reference["name"]]["data"]
            else:
                environment |= self.secrets[reference["name"]]["stringData"]
        environment |= {one["name"]: one["value"] for one in container.get("env", [])}
        spec = Spec(
            name, [*container.get("command", self.parts.image.entrypoint), *container["args"]], environment,
            (security["runAsUser"], security["runAsGroup"]), container["securityContext"]["readOnlyRootFilesystem"], ["pods"],
            grace=inside.get("terminationGracePeriodSeconds", 30))
        for mount in container.get("volumeMounts", []):
            (volume,) = [one for one in inside["volumes"] if one["name"] == mount["name"]]
            spec.mounts.append((self.secret(volume["secret"], security["fsGroup"]), mount["mountPath"], False))
        # The authorities of the image, and the one that has signed for Redis and Postgres here.
        spec.mounts.append((self.folder / "tls/ca.crt", BUNDLE, False))
        return spec

    def secret(self, volume: dict, group: int) -> Path:
        """A Secret as a folder: files of root, with the mode that the manifest says, for the pod's group."""
        place = self.folder / volume["secretName"]
        if not place.exists():
            place.mkdir()
            for key, value in self.secrets[volume["secretName"]]["stringData"].items():
                (place / key).write_text(value)
                os.chown(place / key, 0, group)
                (place / key).chmod(volume["defaultMode"])
        return place

    def start(self, name: str) -> Container:
        container = self.parts.contain(self.spec(name))
        self.parts.running[name] = container
        container.start()
        return container

    def end(self) -> None:
        self.parts.end()


def kubectl() -> str | None:
    return shutil.which("kubectl")
