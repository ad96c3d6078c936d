"""Containers without an engine: bubblewrap with a root of its own, a user that is not root, no capability, a network
namespace. What an engine does beyond that and this does not: limits of memory and processes, and its seccomp filter."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from network import Namespace, Networks


@dataclass
class Spec:
    """How a container is to run, as a compose file or a manifest says it."""

    name: str
    words: list[str]
    environment: dict[str, str]
    user: tuple[int, int]
    read_only: bool
    networks: list[str]
    # (here, there, may be written)
    mounts: list[tuple[Path, str, bool]] = field(default_factory=list)
    tmpfs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    grace: float = 60


class Container:
    def __init__(self, spec: Spec, root: Path, binds: list[str], networks: Networks, folder: Path) -> None:
        self.spec, self.root, self.binds, self.networks = spec, root, binds, networks
        self.namespace: Namespace = networks.join(spec.name, spec.networks, spec.aliases)
        self.hosts = folder / f"{spec.name}.hosts"
        self.log = folder / f"{spec.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.status: IO[str] | None = None
        for here, there, _ in spec.mounts:
            # As an engine does: what is mounted to has to be there.
            place = root / there.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if here.is_dir():
                place.mkdir(exist_ok=True)
            else:
                place.touch()

    def sandbox(self, words: list[str], status: int | None = None) -> list[str]:
        """The command line that runs `words` in it. Entered as the user itself, so that what belongs to root is not its."""
        spec = self.spec
        self.networks.write_hosts(spec.name, self.hosts)
        user, group = map(str, spec.user)
        line = [*self.namespace.enter, "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
                "bwrap", "--unshare-user", "--uid", user, "--gid", group, "--unshare-pid", "--unshare-ipc", "--unshare-uts",
                "--hostname", spec.name, "--die-with-parent", "--as-pid-1", "--new-session", "--cap-drop", "ALL",
                "--ro-bind" if spec.read_only else "--bind", str(self.root), "/", *self.binds,
                "--proc", "/proc", "--dev", "/dev", "--ro-bind", str(self.hosts), "/etc/hosts"]
        for here, there, writable in spec.mounts:
            line += ["--bind" if writable else "--ro-bind", str(here), there]
        for there in spec.tmpfs:
            line += ["--tmpfs", there]
        line += ["--clearenv"]
        for name, value in spec.environment.items():
            line += ["--setenv", name, value]
        if status is not None:
            line += ["--json-status-fd", str(status)]
        return [*line, "--chdir", "/", "--", *words]

    def start(self) -> None:
        reading, writing = os.pipe()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.sandbox(self.spec.words, writing), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[writing])
        os.close(writing)
        # Kept open: bubblewrap tells its end there too.
        self.status = os.fdopen(reading)
        line = self.status.readline()
        assert line, f"{self.spec.name} does not start: {self.said()}"
        self.pid = json.loads(line)["child-pid"]

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Another process in it, beside the first one."""
        return subprocess.run(self.sandbox(list(words)), input=given, capture_output=True, text=True, timeout=120)

    def check_alive(self) -> None:
        code = self.process.poll() if self.process else None
        assert code is None, f"{self.spec.name} ended by itself with {code}: {self.said()}"

    def wait(self, limit: float = 120) -> int:
        assert self.process
        return self.process.wait(limit)

    def stop(self) -> int:
        """As an engine does: SIGTERM, and the exit code within the grace."""
        assert self.process
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(self.spec.grace)

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        if self.status:
            self.status.close()

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


def until_healthy(container: Container, check: list[str], limit: float = 120) -> None:
    end = time.monotonic() + limit
    while (answer := container.run(*check)).returncode != 0:
        container.check_alive()
        assert time.monotonic() < end, f"{container.spec.name} is not healthy: {answer.stdout}{answer.stderr}{container.said()}"
        time.sleep(0.1)


class Roots:
    """What stands in for images: for ours this machine's system with the release binary in its place, or a folder that
    the Dockerfile's steps have made (FLOTILLA_IMAGE_ROOT); for others this machine's system."""

    def __init__(self, folder: Path, binary: Path, topics: Path) -> None:
        self.system = self.lay(folder / "system")
        built = os.environ.get("FLOTILLA_IMAGE_ROOT")
        if built and not Path(built).exists():
            pytest.skip("the steps of the Dockerfile were not run here")
        if built:
            self.ours, self.our_binds = Path(built), []
            return
        self.ours = self.lay(folder / "ours")
        shutil.copy(binary, self.ours / "usr/local/bin/flotilla")
        shutil.copytree(topics, self.ours / "etc/flotilla/topics")
        for path in ("var/lib/flotilla/keys", "var/lib/flotilla/token"):
            (self.ours / path).mkdir(parents=True)
            os.chown(self.ours / path, 65532, 65532)
            (self.ours / path).chmod(0o700)
        self.our_binds = []
        # Swift's libraries, which are in the image's binary, are the toolchain's here.
        found = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
        paths = [word for word in found.split() if word.startswith("/") and not word.startswith(("/lib", "/usr"))]
        for library in {Path(path).parent for path in paths}:
            (self.ours / str(library).lstrip("/")).mkdir(parents=True, exist_ok=True)
            self.our_binds += ["--ro-bind", str(library), str(library)]
        self.our_binds = [*self.system_binds(), *self.our_binds]

    @staticmethod
    def system_binds() -> list[str]:
        return [word for name in ("bin", "lib", "share") for word in ("--ro-bind", f"/usr/{name}", f"/usr/{name}")]

    @staticmethod
    def lay(root: Path) -> Path:
        """An empty system, whose programs are mounted from this one."""
        for name in ("usr/bin", "usr/lib", "usr/share", "usr/local/bin", "etc", "proc", "dev", "tmp", "run/postgresql", "data"):
            (root / name).mkdir(parents=True)
        for name in ("bin", "lib"):
            (root / name).symlink_to(f"usr/{name}")
        (root / "lib64").symlink_to("usr/lib/x86_64-linux-gnu" if not Path("/usr/lib64").exists() else "usr/lib64")
        if Path("/usr/lib64").exists():
            shutil.copytree("/usr/lib64", root / "usr/lib64", symlinks=True)
        (root / "etc/hosts").touch()
        (root / "etc/nsswitch.conf").write_text("passwd: files\nhosts: files\n")
        (root / "etc/passwd").write_text("flotilla:x:65532:65532::/nonexistent:/bin/false\nother:x:999:999::/data:/bin/sh\n")
        (root / "etc/group").write_text("flotilla:x:65532:\nother:x:999:\n")
        return root
