"""The README's Swift, as a package that depends on this one: it builds, runs, and says what the README says it does."""

from __future__ import annotations

import re
import subprocess
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
    ]
)
"""


def swift_blocks() -> list[str]:
    return re.findall(r"```swift\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_readmes_swift_runs(tmp_path: Path) -> None:
    client, embedded = swift_blocks()
    # One program: the embedded broker, and the client against it.
    imports = [line for line in (embedded + client).splitlines() if line.startswith("import ")]
    body = [line for line in embedded.splitlines() if not line.startswith(("import ", "// …"))]
    body += [line for line in client.splitlines() if not line.startswith("import ")]
    program = "\n".join(dict.fromkeys(imports)) + "\n" + "\n".join(body)
    program = program.replace('"/tmp/some-test"', f'"{tmp_path / "data"}"')
    assert '["127.0.0.1:9092"]' in program
    program = program.replace('["127.0.0.1:9092"]', '["\\(broker.endpoint)"]')

    package = tmp_path / "outside"
    (package / "Sources/client").mkdir(parents=True)
    (package / "Sources/embedded").mkdir(parents=True)
    (package / "Package.swift").write_text(MANIFEST.format(root=ROOT, identity=ROOT.name.lower()).lstrip())
    (package / "Sources/client/main.swift").write_text(client)
    (package / "Sources/embedded/main.swift").write_text(program)

    # A scratch folder that stays, so that only the first run builds everything.
    swift = ["swift", "build", "--package-path", package, "--scratch-path", ROOT / ".build" / "outside"]
    build = subprocess.run(swift, capture_output=True, text=True)
    assert build.returncode == 0, build.stdout[-4000:] + build.stderr[-4000:]
    binary = ROOT / ".build" / "outside" / "debug" / "embedded"
    run = subprocess.run([binary], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "written to partition 0 at offset 0",
        "0 0 [104, 101, 108, 108, 111]",
    ]
