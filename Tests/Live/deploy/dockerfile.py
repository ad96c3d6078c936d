"""The Dockerfile, read; and its steps run without an engine, each stage in a folder of its own.

    python Tests/Live/deploy/dockerfile.py FOLDER     makes FOLDER/image, what the last stage makes

The base of both stages is Debian 12 as mmdebstrap makes it, slimmed as Debian's own slim image is. The first one is Swift's
image really: that is the same Debian with the packages named below, and a toolchain, which is mounted from this machine.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# What Swift's image has beside Debian and the toolchain, as far as compiling needs it.
TOOLCHAIN_PACKAGES = ["binutils", "libc6-dev", "libgcc-12-dev", "libstdc++-12-dev", "libxml2", "libcurl4", "libedit2",
                      "libncurses6", "libsqlite3-0", "libz3-4", "tzdata", "git"]

# What Debian's slim image leaves out, and so do packages that come later.
LEFT_OUT = ("man", "info", "groff", "lintian", "linda", "locale")
SLIM = "".join(f"path-exclude=/usr/share/{name}/*\n" for name in (*LEFT_OUT, "doc")) + \
    "path-include=/usr/share/doc/*/copyright\nforce-unsafe-io\n"

BINARY_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Stage:
    image: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def said(self, word: str) -> list[str]:
        return [rest for step, rest in self.steps if step == word]

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for rest in self.said("ENV") for pair in shlex.split(rest))

    @property
    def entrypoint(self) -> list[str]:
        return json.loads(self.said("ENTRYPOINT")[-1])

    @property
    def user(self) -> tuple[int, int]:
        user, group = self.said("USER")[-1].split(":")
        return int(user), int(group)

    @property
    def check(self) -> list[str]:
        options, words = self.said("HEALTHCHECK")[-1].split(" CMD ")
        assert all(option.startswith("--") for option in options.split())
        return json.loads(words)


def read(path: Path = ROOT / "Dockerfile") -> list[Stage]:
    stages: list[Stage] = []
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            image, *name = rest.split()
            stages.append(Stage(image, name[1] if name else ""))
        else:
            stages[-1].steps.append((word, rest.strip()))
    return stages


class NotHere(Exception):
    """This machine cannot run the steps; that says nothing of the Dockerfile."""


class Build:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.base = folder / "base"
        self.roots: dict[str, Path] = {}
        self.toolchain = Path(shutil.which("swift") or "").resolve().parents[1]

    def check(self) -> None:
        """What these steps need of the machine, beside a mirror of Debian."""
        if self.toolchain == Path("/usr"):
            raise NotHere("the toolchain cannot be mounted apart from this system: it is in /usr")
        tried = subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", f"cd {self.folder}; mkdir proc; mount -t proc proc proc"],
            capture_output=True, text=True)
        if tried.returncode != 0:
            raise NotHere(f"nothing can be mounted: {tried.stderr.strip()}")

    def tell(self, what: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)

    def debian(self) -> None:
        self.tell("Debian 12, slim")
        sources = Path("/etc/apt/sources.list.d/debian.sources")
        made = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", "--include=usr-is-merged", "--dpkgopt=force-unsafe-io",
             "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", "bookworm", self.base,
             sources if sources.exists() else "/etc/apt/sources.list"])
        if made.returncode != 0:
            raise NotHere("mmdebstrap makes no Debian of the sources of this machine")
        # Afterwards: while it unpacks, each package would go through a filter of its own.
        (self.base / "etc/dpkg/dpkg.cfg.d/slim").write_text(SLIM)
        for name in LEFT_OUT:
            shutil.rmtree(self.base / "usr/share" / name, ignore_errors=True)
        for path in self.base.glob("usr/share/doc/*/*"):
            # The folder of some is another's.
            if path.name != "copyright" and not path.parent.is_symlink():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def run(self, root: Path, script: str, environment: dict[str, str], folder: str, *, swift: bool) -> None:
        """A step, in a mount namespace of its own: what it mounts is gone with it."""
        mounts = "mount -t proc proc proc; mount --rbind /dev dev; mount --bind /etc/resolv.conf etc/resolv.conf\n"
        path = BINARY_PATH
        if swift:
            place = str(self.toolchain).lstrip("/")
            mounts += f"mkdir -p {place}; mount --bind -o ro {self.toolchain} {place}\n"
            path = f"{self.toolchain}/bin:{path}"
        inside = f"cd {folder}; {script}"
        subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc",
             f"cd {root}; touch etc/resolv.conf; {mounts}exec chroot . /bin/sh -ec {shlex.quote(inside)}"],
            check=True, env={"PATH": path, "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", **environment})

    def make(self, stage: Stage) -> Path:
        root = self.folder / (stage.name or "image")
        self.roots[stage.name] = root
        subprocess.run(["cp", "-a", self.base, root], check=True)
        swift, folder = stage.image.startswith("swift:"), "/"
        if swift:
            self.tell(f"what {stage.image} has")
            packages = " ".join(TOOLCHAIN_PACKAGES)
            install = f"apt-get update -qq && apt-get install -qq -y --no-install-recommends {packages} >/dev/null"
            try:
                self.run(root, install, {}, "/", swift=False)
            except subprocess.CalledProcessError as fault:
                raise NotHere("Debian's packages cannot be had from within a new system") from fault
        for word, rest in stage.steps:
            self.tell(f"{word} {' '.join(rest.split())[:100]}")
            if word == "RUN":
                self.run(root, rest, stage.environment, folder, swift=swift)
            elif word == "WORKDIR":
                folder = rest
                (root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif word == "COPY":
                self.copy(root, folder, rest)
            else:
                assert word in ("ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"), f"what is {word}?"
        return root

    def copy(self, root: Path, folder: str, rest: str) -> None:
        words = rest.split()
        source = ROOT
        if words[0].startswith("--from="):
            source = self.roots[words.pop(0).removeprefix("--from=")]
        here, there = source / words[0].lstrip("/"), root / os.path.join(folder, words[1]).lstrip("/")
        assert source != ROOT or f"!{words[0]}" in (ROOT / ".dockerignore").read_text().splitlines(), f"{words[0]} is ignored"
        if here.is_dir():
            shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            there = there / here.name if there.is_dir() else there
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(here, there)


def size(root: Path) -> int:
    """Bytes in files, those with several names once."""
    seen: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            about = os.lstat(os.path.join(folder, name))
            seen[about.st_dev, about.st_ino] = about.st_size
    return sum(seen.values())


def main() -> None:
    build = Build(Path(sys.argv[1]).resolve())
    try:
        build.check()
        build.debian()
        for stage in read():
            root = build.make(stage)
    except NotHere as reason:
        shutil.rmtree(build.folder, ignore_errors=True)
        print(f"NOT RUN, the steps of the Dockerfile: {reason}")
        return
    # As an engine does: what it mounts over.
    for path in ("etc/hosts", "etc/resolv.conf"):
        (root / path).touch()
    bytes_in_all, binary = size(root), (root / "usr/local/bin/flotilla").stat().st_size
    print(f"image: {bytes_in_all / 1e6:.1f} MB, of it Debian {size(build.base) / 1e6:.1f} MB and flotilla {binary / 1e6:.1f} MB")
    assert bytes_in_all < 120e6, "more than 120 MB"
    for other in {build.base, *build.roots.values()} - {root}:
        shutil.rmtree(other)


if __name__ == "__main__":
    main()
