"""deploy/kubernetes: its objects, and its pods as containers without a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import yaml

from composition import ROOT, Composition
from sandbox import Container, Spec

FOLDER = ROOT / "deploy/kubernetes"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


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
        self.place = self.maps["flotilla"]["data"]["KAFKA_BROKERS"]
        (folder / "tls").mkdir()
        self.make_certificates(folder / "tls")

    def make_certificates(self, folder: Path) -> None:
        def openssl(*words: str) -> None:
            subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test", "-days", "2")
        for name in ("redis", "postgres"):
            (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{name}.data")
            openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                    "-extfile", f"{name}.ext", "-out", f"{name}.crt")
            os.chown(folder / f"{name}.key", 999, 999)
            (folder / f"{name}.key").chmod(0o600)

    def start_parts(self) -> None:
        tls = (self.folder / "tls", "/tls", False)
        for name, alias in (("kafka", self.place.split(":")[0]), ("redis", "redis.data"), ("postgres", "postgres.data")):
            spec = self.parts.stand_in(name)
            spec.networks, spec.aliases = ["pods"], [alias]
            if name == "kafka":
                spec.words = [self.place if word == "kafka:19092" else word.replace(":19092", ":" + self.place.split(":")[1]) for word in spec.words]
            elif name == "redis":
                spec.words += ["--requirepass", "replace", "--port", "0", "--tls-port", "6379", "--tls-cert-file", "/tls/redis.crt",
                               "--tls-key-file", "/tls/redis.key", "--tls-ca-cert-file", "/tls/ca.crt", "--tls-auth-clients", "no"]
            else:
                spec.environment |= {f"{handler}_PASSWORD": "replace" for handler in ("PROCESS", "AGGREGATE", "NOTIFY")}
                spec.words += ["-c", "ssl=on", "-c", "ssl_cert_file=/tls/postgres.crt", "-c", "ssl_key_file=/tls/postgres.key"]
            spec.mounts.append(tls)
            root, binds = (self.parts.roots.ours, self.parts.roots.our_binds) if name == "kafka" else (
                self.parts.roots.system, self.parts.roots.system_binds())
            container = Container(spec, root, binds, self.parts.networks, self.folder)
            self.parts.running[name] = container
            container.start()
        port = self.place.split(":")[1]
        checks = {"kafka": ["bash", "-c", f"exec 3<>/dev/tcp/localhost/{port}"],
                  "redis": ["sh", "-c", "redis-cli --tls --cacert /tls/ca.crt -a replace --no-auth-warning ping | grep -q PONG"],
                  "postgres": self.parts.check("postgres")}
        for name, check in checks.items():
            container = self.parts.running[name]
            self.parts.until(lambda: container.run(*check).returncode == 0, name)

    def spec(self, name: str) -> Spec:
        workload = self.workloads[name]
        inside = pod(workload)
        (container,), security = inside["containers"], inside["securityContext"]
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **self.parts.image.environment}
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
        container = Container(self.spec(name), self.parts.roots.ours, self.parts.roots.our_binds, self.parts.networks, self.folder)
        self.parts.running[name] = container
        container.start()
        return container

    def end(self) -> None:
        self.parts.end()


def kubectl() -> str | None:
    return shutil.which("kubectl")
