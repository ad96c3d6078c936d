"""A package that depends on this one, made of the README's Swift and that in docs/workers.md, built once a run."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

MANIFEST = """
// swift-tools-version: 6.3
import PackageDescription

let package = Package(
    name: "outside",
    dependencies: [.package(path: "{root}")],
    targets: [
        .executableTarget(name: "client", dependencies: [.product(name: "Kafka", package: "{identity}")]),
        .executableTarget(
            name: "embedded",
            dependencies: [
                .product(name: "LocalBroker", package: "{identity}"), .product(name: "Kafka", package: "{identity}"),
            ]),
        .executableTarget(name: "worker", dependencies: [.product(name: "Flotilla", package: "{identity}")]),
        .testTarget(
            name: "workerTests", dependencies: ["worker", .product(name: "FlotillaTesting", package: "{identity}")]),
    ]
)
"""


# Stays, so that only the first run builds everything. Other packages that depend on this one are built there too.
SCRATCH = ROOT / ".build" / "outside"
# Where the embedded broker of the README's example keeps its log.
DATA = ROOT / ".build" / "outside-data"


def blocks(language: str, page: str = "README.md") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def swift(holding: str, page: str = "README.md") -> str:
    """The one block of Swift with these words."""
    (block,) = [block for block in blocks("swift", page) if holding in block]
    return block


def write_topics(folder: Path) -> None:
    for text in blocks("yaml"):
        write(folder / (text.split("\n")[0].removeprefix("name: ") + ".yaml"), text)


def swift_command(package: Path, *words: str) -> str:
    """Runs swift on a package and returns what it said."""
    command = ["swift", *words, "--scratch-path", str(SCRATCH)]
    with alone():
        result = subprocess.run(command, cwd=package, capture_output=True, text=True)
    output = result.stdout + result.stderr
    assert result.returncode == 0, output[-8000:]
    return output


@contextmanager
def alone() -> Iterator[None]:
    """One test process at a time: several run side by side, and they share what is built."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with (SCRATCH / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(folder: Path) -> Path:
    """Builds the package and returns the folder of its programs."""
    client = swift("Producer(")
    embedded = swift("Broker.start")
    # One program: the embedded broker, and the client against it.
    imports = [line for line in (embedded + client).splitlines() if line.startswith("import ")]
    body = [line for line in embedded.splitlines() if not line.startswith(("import ", "// …"))]
    body += [line for line in client.splitlines() if not line.startswith("import ")]
    program = "\n".join(dict.fromkeys(imports)) + "\n" + "\n".join(body)
    program = program.replace('"/tmp/some-test"', f'"{DATA}"')
    assert '["127.0.0.1:9092"]' in program
    program = program.replace('["127.0.0.1:9092"]', '["\\(broker.endpoint)"]')

    # The same text is written again only when it changed, so that nothing is built twice.
    write(folder / "Package.swift", MANIFEST.format(root=ROOT, identity=ROOT.name.lower()).lstrip())
    write(folder / "Sources/client/main.swift", client)
    write(folder / "Sources/embedded/main.swift", program)
    write(folder / "Sources/worker/Worker.swift", swift("Flotilla.main"))
    write(folder / "Sources/worker/Totals.swift", swift(": StatefulHandler", "docs/workers.md"))
    write(folder / "Tests/workerTests/PricerTests.swift", swift("PricerTests", "docs/workers.md"))
    write_topics(folder / "topics")
    swift_command(folder, "build", "--build-tests")
    return SCRATCH / "debug"


def write(path: Path, text: str) -> None:
    """Whole or not at all, and only when it changed: another process may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_text(text)
        new.replace(path)
