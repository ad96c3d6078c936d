"""The handlers that come with Flotilla, with what they need."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

from outside import ROOT
from processes import Site, until

POSTGRES = Path("/usr/lib/postgresql/15/bin")


class Fleet(Site):
    """A broker, a Redis and a Postgres; the worker is `flotilla`."""

    def __init__(self, folder: Path, topics: Path = ROOT / "topics") -> None:
        super().__init__(folder, ROOT / "bin/flotilla", topics)
        data = folder / "postgres"
        data.mkdir(0o700)
        self.other: list[str] = []
        if os.getuid() == 0:
            # Postgres does not run as root.
            account = pwd.getpwnam("postgres")
            os.chown(data, account.pw_uid, account.pw_gid)
            self.other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        initdb = [POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"]
        subprocess.run([*self.other, *initdb], check=True, capture_output=True)
        options = ["-c", "listen_addresses=", "-c", "fsync=off"]
        self.start(*self.other, POSTGRES / "postgres", "-D", data, "-k", data, *options)
        ready = [POSTGRES / "pg_isready", "-q", "-h", data]
        until(lambda: subprocess.run(ready).returncode == 0, "postgres")
        self.environment["DATABASE_URL"] = f"postgresql:///postgres?host={data}&user=postgres"
