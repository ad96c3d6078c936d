"""Feeds every target of this folder with what libFuzzer thinks of, two side by side, under the address sanitizer.

    fuzz.py [--seconds 60] [--keep] [target …]

A target begins with its corpus (corpus/NAME.tar.gz, what earlier runs found worth keeping) and with seeds: the requests
of the wire tests, the files of topics/, an example of each kind of body. What it finds lies in .build/fuzz/found, with
the command that shows it again. `--keep` puts what is new and reaches further into the corpus.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / ".build" / "fuzz"
FUZZ = BUILD / "release" / "Fuzz"
CORPUS, FOUND = BUILD / "corpus", BUILD / "found"
TARGETS = ["wire", "broker", "segment", "http", "body", "headers", "lines", "topics", "schema", "quantiles", "uniques",
           "record"]
# No input is worth more time or memory than this.
LIMITS = ["-timeout=20", "-rss_limit_mb=3000", "-malloc_limit_mb=1000"]
# What runs until the process ends is no leak; and Swift's own backtrace would wait for threads that the sanitizer holds.
QUIET = {"ASAN_OPTIONS": "detect_leaks=0", "SWIFT_BACKTRACE": "enable=no"}
# A corpus is a set of small files that reach far together, not an archive.
LARGEST = 4096


# MARK: Where a target begins


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def batch(count: int = 2) -> bytes:
    """Records as a producer sends them, but for the checksum, which targets set."""
    records = b""
    for number in range(count):
        record = bytes([0, 0, number * 2, 6]) + b"key" + bytes([10]) + b"value" + bytes([2, 2]) + b"h" + bytes([2]) + b"v"
        records += bytes([len(record) * 2]) + record
    checked = struct.pack(">hiqqqhii", 0, count - 1, 1_000_000, 1_000_000, -1, -1, -1, count) + records
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, 0) + checked


def produce() -> bytes:
    head = struct.pack(">hhi", 0, 3, 1) + text("fuzz") + struct.pack(">hhii", -1, -1, 1000, 1)
    return head + text("orders") + struct.pack(">iii", 1, 0, len(batch())) + batch()


def wire() -> dict[tuple[int, int], bytes]:
    """Requests as another client encodes them, by API and version."""
    lines = (ROOT / "Tests/LocalBrokerTests/Wire/golden.txt").read_text().splitlines()
    fields = [line.split() for line in lines if line.startswith("request ") and " full " in line]
    return {(int(api), int(version)): bytes.fromhex(code) for _, api, version, _, code in fields}


def broker() -> list[bytes]:
    """Conversations: a topic, what is written to it, and then each of the other requests."""
    frames = wire()
    newest = {api: frames[api, max(v for a, v in frames if a == api)] for api, _ in frames}
    create = struct.pack(">hhi", 19, 0, 1) + text("fuzz") + struct.pack(">i", 1) + text("orders")
    create += struct.pack(">ihiii", 2, 1, 0, 0, 30_000)
    begin = [create, produce()]
    talks = [begin + [frame] for frame in newest.values()] + [begin + list(newest.values())]
    return [b"".join(struct.pack(">H", len(frame)) + frame for frame in talk) for talk in talks]


JSON = b'{"event_type":"click","campaign_id":"c-1","user_id":"u","value":1.5e3,"tags":["a","b"],"note":"abc","deep":{"x":[null,true]}}'
CLOUD = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-01T00:00:00Z","datacontenttype":"application/json","data":' + JSON + b"}"
ATTRIBUTES = b"id: 1\nsource: /shop\ntype: order.created\ntime: 2026-01-01T00:00:00Z\nsubject: caf%C3%A9\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n\n" + JSON


def seeds(target: str) -> list[bytes]:
    bodies = [JSON, JSON + b"\n" + JSON, CLOUD, b"[" + CLOUD + b"]", b"[" + JSON + b",1]", gzip.compress(JSON),
              gzip.compress(JSON + b"\n{}\n"), b"\x00\xff"]
    request = b"POST /v1/events HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    files = [path.read_bytes() for path in sorted((ROOT / "topics").glob("*.yaml"))]
    schemas = [path.read_bytes() for path in sorted((ROOT / "topics/schemas").glob("*.json"))]
    match target:
        case "wire":
            return [*wire().values(), produce()]
        case "broker":
            return broker()
        case "segment":
            return [b"\0" + batch(), b"\0" + batch(1) + batch(3), b"\1" + batch()]
        case "http":
            chunked = b"transfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n"
            return [request + b"content-length: %d\r\n\r\n" % len(JSON) + JSON, request + chunked,
                    request + b"expect: 100-continue\r\n" + chunked, b"GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n",
                    b"OPTIONS /v1/events HTTP/1.1\r\nhost: a\r\norigin: http://b\r\naccess-control-request-method: POST\r\n\r\n"]
        case "body":
            return [bytes([kind]) + body for kind, body in enumerate(bodies)] + [bytes([8 + n]) + b for n, b in enumerate(bodies)]
        case "headers":
            return [ATTRIBUTES]
        case "lines":
            return [JSON + b"\n" + JSON + b"\n\n1\n", b"1,2\n[\n]\n"]
        case "topics":
            return files
        case "schema":
            return [schema.replace(b"\n", b"") + b"\n\n" + JSON for schema in schemas]
        case "record":
            return [b"ce_id: 1\nce_source: /s\nce_type: t\nce_specversion: 1.0\ncontent-type: application/json\n\n" + JSON,
                    ATTRIBUTES.replace(b"\n", b"\nce_").replace(b"id:", b"ce_id:", 1)]
        case _:
            return [b"\1\0", b"\1\1"]


WORDS = {
    "schema": "type required properties items enum const pattern minimum maximum minLength uniqueItems anyOf allOf oneOf not "
              "$ref $defs $id additionalProperties prefixItems contains if then else format multipleOf object array string "
              "number integer boolean null dependentRequired propertyNames minItems maxContains".split(),
    "topics": "name: about: partitions: replication: retention: maxMessageBytes: key: schema: pii: publish: consumers: "
              "handler: retries: once: ordering: concurrency: timeout: infinite batch: produces: 7d 1MiB".split(),
    "http": ["content-length: ", "transfer-encoding: chunked", "expect: 100-continue", "content-encoding: gzip", "\\x0d\\x0a"],
}
WORDS["body"] = ["specversion", "source", "data_base64", "datacontenttype", "\\x0a", "1e400", "\\\\u0000", "\\\\ud800"]


# MARK: Running


def unpack(target: str, begins: bool) -> Path:
    folder = CORPUS / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, seed in enumerate(seeds(target)):
        (folder / f"seed-{number}").write_bytes(seed)
    kept = HERE / "corpus" / f"{target}.tar.gz"
    if kept.exists():
        with tarfile.open(kept) as archive:
            archive.extractall(folder)
    elif not begins:
        raise SystemExit(f"fuzz: {kept} is gone; --keep makes a new one")
    return folder


def keep(target: str, folder: Path, environment: dict[str, str]) -> None:
    """What together reaches as far as all of it, packed so that the same files are the same bytes."""
    with tempfile.TemporaryDirectory(dir=BUILD) as merged:
        subprocess.run([FUZZ, "-merge=1", f"-max_len={LARGEST}", *LIMITS, merged, folder], env=environment, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        memory = io.BytesIO()
        with tarfile.open(fileobj=memory, mode="w") as archive:
            for path in sorted(Path(merged).iterdir()):
                entry = tarfile.TarInfo(path.name)
                entry.size = path.stat().st_size
                archive.addfile(entry, path.open("rb"))
        (HERE / "corpus").mkdir(exist_ok=True)
        (HERE / "corpus" / f"{target}.tar.gz").write_bytes(gzip.compress(memory.getvalue(), mtime=0))


def fuzz(target: str, seconds: int, keeps: bool) -> tuple[str, str, bool]:
    folder = unpack(target, keeps)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as memory:
        environment = os.environ | QUIET | {"FLOTILLA_FUZZ": target, "TMPDIR": memory}
        arguments = [FUZZ, f"-max_total_time={seconds}", f"-max_len={LARGEST}", f"-artifact_prefix={FOUND}/{target}-",
                     "-print_final_stats=1", *LIMITS, folder]
        if words := WORDS.get(target):
            (BUILD / f"{target}.words").write_text("".join(f'"{word}"\n' for word in words))
            arguments.insert(1, f"-dict={BUILD / f'{target}.words'}")
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, errors="replace")
        (FOUND / f"{target}.log").write_text(done.stderr[-200_000:])
        runs = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        states = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", done.stderr)
        if done.returncode == 0 and keeps:
            keep(target, folder, environment)
    count, (_, reached, kept) = int(runs[1]) if runs else 0, states[-1] if states else ("0", "0", "0")
    row = f"{target:10}  {count:>12,}  {count // max(1, seconds):>9,}  {int(reached):>9,}  {int(kept):>7,}"
    if done.returncode == 0 and count > 0:
        return f"{row}  nothing", "", True
    written = re.search(r"Test unit written to (\S+)", done.stderr)
    shown = written[1] if written else f"{FOUND}/{target}.log"
    settings = " ".join(f"{name}={value}" for name, value in QUIET.items())
    return f"{row}  FOUND", f"{settings} FLOTILLA_FUZZ={target} {FUZZ} {shown}", False


def main() -> int:
    written = {name for path in HERE.glob("*.swift") for name in re.findall(r'Target\(name: "(\w+)"', path.read_text())}
    if written != set(TARGETS):
        raise SystemExit(f"fuzz: {', '.join(sorted(written ^ set(TARGETS)))}: in TARGETS, or in the folder, and not in both")
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    options.add_argument("--keep", action="store_true", help="put what is new into the corpus")
    options.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(TARGETS)}; all")
    chosen = options.parse_args()
    if unknown := set(chosen.targets) - set(TARGETS):
        options.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    targets = chosen.targets or TARGETS
    shutil.rmtree(FOUND, ignore_errors=True)
    FOUND.mkdir(parents=True)
    print(f"{'target':10}  {'inputs':>12}  {'a second':>9}  {'reached':>9}  {'corpus':>7}  found")
    began, over = time.monotonic(), 0
    repeats = []
    with ThreadPoolExecutor(2) as pool:
        rows = pool.map(lambda target: fuzz(target, chosen.seconds, chosen.keep), targets)
        for row, repeat, _ in rows:
            over += 1
            print(row, flush=True)
            if sys.stderr.isatty():
                print(f"\r{over} of {len(targets)} targets, {time.monotonic() - began:.0f} s\r", end="", file=sys.stderr)
            if repeat:
                repeats.append(repeat)
    for repeat in repeats:
        print(f"see it again: {repeat}")
    return 1 if repeats else 0


if __name__ == "__main__":
    sys.exit(main())
