"""What the benches run beside what they measure, and what a process has used."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def processor(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Redis:
    """One that keeps nothing on the disk, on a unix socket."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="flotilla-bench-"))
        self.url = f"unix://{self.folder}/redis.sock"
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.folder / "redis.sock", "--dir", self.folder, "--save", ""],
            stdout=subprocess.DEVNULL)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
