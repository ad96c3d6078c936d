"""docker-compose.yml as docker-compose understands it, and its services as containers without an engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import yaml

import dockerfile
from network import Networks
from outside import ROOT
from sandbox import Container, Roots, Spec, until_healthy

OURS = "flotilla:local"

# What the image of Postgres does before it runs its command, as far as this file uses it.
POSTGRES_ENTRY = """
umask 077
printf %s "$POSTGRES_PASSWORD" > /tmp/password
initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile=/tmp/password $POSTGRES_INITDB_ARGS --no-sync >/dev/null
echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -k /run/postgresql" -w start >/dev/null
psql -q -d postgres -c "CREATE DATABASE $POSTGRES_DB"
for script in /docker-entrypoint-initdb.d/*.sh; do "$script"; done
pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
exec "$@" -c "listen_addresses=*" -k /run/postgresql
"""


def read() -> dict:
    """The whole file, with all profiles, and none of this machine's settings in it."""
    run = subprocess.run(
        ["docker-compose", "-f", ROOT / "docker-compose.yml", "--project-directory", ROOT, "config"],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return yaml.safe_load(run.stdout.replace("$$", "$"))


def seconds(text: str) -> float:
    return float(text.removesuffix("s")) if text.endswith("s") and "m" not in text else 60 * float(text.removesuffix("m"))


def listens(place: str) -> list[str]:
    """Whether there is somebody at a port of this container."""
    return ["bash", "-c", f"exec 3<>/dev/tcp/localhost/{place.split(':')[1]}"]


class Composition:
    def __init__(self, folder: Path, networks: tuple[str, ...] = ("log", "state")) -> None:
        self.folder = folder
        self.services: dict[str, dict] = read()["services"]
        self.image = dockerfile.read()[-1]
        self.networks = Networks(list(networks))
        self.roots = Roots(folder, (ROOT / "bin/flotilla").resolve(), ROOT / "topics")
        self.volumes: dict[str, Path] = {}
        self.running: dict[str, Container] = {}

    # MARK: What the file says

    def spec(self, name: str, alias: str | None = None) -> Spec:
        service = self.services[name]
        user, group = map(int, service.get("user", "1000:1000").split(":"))
        words, environment = [], {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/"}
        if service["image"] == OURS:
            words, environment = self.image.entrypoint, environment | self.image.environment
        words = service.get("entrypoint", words)
        environment |= {
            **{key: str(value) for key, value in service.get("environment", {}).items() if value is not None}}
        spec = Spec(
            alias or name, [*words, *service.get("command", [])], environment, (user, group),
            service.get("read_only", False), list(service["networks"]), tmpfs=list(service.get("tmpfs", [])),
            aliases=[name] if alias is None else [], grace=seconds(service.get("stop_grace_period", "10s")))
        for volume in service.get("volumes", []):
            here, there, mode = volume.split(":")
            spec.mounts.append((self.volume(here, there, (user, group)), there, mode == "rw"))
        return spec

    def volume(self, name: str, there: str, user: tuple[int, int]) -> Path:
        """A named volume, which begins as what the image has there; or a copy of what lies in this folder, where a user
        who is not root can read it."""
        if name not in self.volumes:
            place = self.volumes[name] = self.folder / "volumes" / str(len(self.volumes))
            place.parent.mkdir(exist_ok=True)
            if name.startswith("/"):
                shutil.copytree(name, place) if Path(name).is_dir() else shutil.copy(name, place)
            else:
                place.mkdir()
                like = self.roots.ours / there.lstrip("/")
                about = like.stat() if like.exists() and "flotilla" in there else None
                os.chown(place, *((about.st_uid, about.st_gid) if about else user))
                place.chmod(about.st_mode & 0o777 if about else 0o700)
        return self.volumes[name]

    @property
    def brokers(self) -> str:
        """Where the file says that the fleet finds Kafka."""
        place, kafka = self.services["ingest"]["environment"]["KAFKA_BROKERS"], self.services["kafka"]["environment"]
        assert f"FLEET://:{place.split(':')[1]}," in kafka["KAFKA_LISTENERS"]
        assert f"FLEET://{place}," in kafka["KAFKA_ADVERTISED_LISTENERS"]
        return place

    def stand_in(self, name: str, brokers: str) -> Spec:
        """What is not ours runs as this machine has it: its command, environment and volumes are the file's."""
        spec = self.spec(name)
        if name == "kafka":
            # The local broker.
            (_, data, _), spec.environment = spec.mounts[0], {"PATH": spec.environment["PATH"]}
            spec.words = ["flotilla", "broker", "--data", data, "--listen", f"0.0.0.0:{brokers.split(':')[1]}",
                          "--advertise", brokers, "--insecure"]
            spec.read_only = True
        if name == "postgres":
            spec.environment |= {
                "PATH": "/usr/lib/postgresql/15/bin:/usr/bin:/bin", "PGDATA": "/var/lib/postgresql/data",
                "PGHOST": "/run/postgresql", "PGUSER": spec.environment["POSTGRES_USER"]}
            spec.words = ["sh", "-euc", POSTGRES_ENTRY, "sh", *spec.words]
        return spec

    def check(self, name: str) -> list[str]:
        """The health check's command."""
        if name == "kafka":
            return listens(self.brokers)
        kind, *words = self.services[name]["healthcheck"]["test"]
        return words if kind == "CMD" else ["sh", "-c", words[0]]

    # MARK: Running it

    def container(self, name: str, alias: str | None = None) -> Container:
        others = name in ("kafka", "redis", "postgres")
        return self.contain(self.stand_in(name, self.brokers) if others else self.spec(name, alias))

    def contain(self, spec: Spec) -> Container:
        system = spec.name in ("redis", "postgres")
        root, binds = (self.roots.system, self.roots.system_binds()) if system else (self.roots.ours, self.roots.our_binds)
        return Container(spec, root, binds, self.networks, self.folder)

    def up(self, *names: str) -> None:
        """Starts these and what they depend on, each when what the file says of its dependencies is so."""
        for name in names:
            if name in self.running:
                continue
            for other, how in self.services[name].get("depends_on", {}).items():
                self.up(other)
                if how["condition"] == "service_healthy":
                    until_healthy(self.running[other], self.check(other))
                else:
                    assert how["condition"] == "service_completed_successfully"
                    container = self.running[other]
                    assert container.wait() == 0, f"{other}: {container.said()}"
            self.start(name)

    def start(self, name: str, alias: str | None = None) -> Container:
        container = self.running[alias or name] = self.container(name, alias)
        container.start()
        return container

    def flotilla(self, *words: str, given: str = "") -> str:
        """`docker compose run --rm flotilla …`"""
        run = self.container("flotilla").run("flotilla", *words, given=given)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def until(self, condition, what: str, limit: float = 120) -> None:
        end = time.monotonic() + limit
        while not condition():
            for container in self.running.values():
                if container.process and container.process.poll() not in (None, 0):
                    container.check_alive()
            assert time.monotonic() < end, what + "\n".join(c.said()[-800:] for c in self.running.values())
            time.sleep(0.1)

    def end(self) -> None:
        for container in reversed(self.running.values()):
            container.end()
        self.networks.end()
