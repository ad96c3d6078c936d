"""A console beside the site of the dead letters."""

from __future__ import annotations

from pathlib import Path

from ports import free_port, listens
from site_of_letters import FLOTILLA, Site


class ConsoleSite(Site):
    """The console asks nobody who they are unless there are tokens."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.console_port = free_port()
        self.address = f"http://127.0.0.1:{self.console_port}"
        self.tokens: dict[str, str] = {}

    def allow(self, **roles: str) -> None:
        """Tokens for people and their roles."""
        entries = []
        for name, role in roles.items():
            told = self.run("console", "token", name, "--role", role).stdout.split()
            self.tokens[name] = told[1]
            entries.append(told[3])
        self.environment["FLOTILLA_CONSOLE_TOKENS"] = ",".join(entries)

    def console(self, *words: object) -> None:
        self.add("console", [FLOTILLA, "console", "--http", self.console_port, "--admin", 0, *words],
                 lambda: listens(("127.0.0.1", self.console_port)))
