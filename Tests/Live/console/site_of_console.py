"""A console beside the site of the dead letters."""

from __future__ import annotations

from pathlib import Path

from outside import ROOT
from ports import free_port, listens
from site_of_letters import FLOTILLA, Site, until

COUNT = 40


def broken(site: ConsoleSite) -> None:
    """Orders from France fail."""
    site.broken.write_text("fr")
    site.follow()
    site.handle("pricer")
    site.publish_for_the_page()
    until(lambda: site.states() == {"open": COUNT}, "the dead letters")


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

    def count(self, windows: bool = False) -> None:
        """Has the tables of windows made, and a window in each of the last five minutes."""
        worker = self.environment["FLOTILLA_TOPICS"]
        self.environment["FLOTILLA_TOPICS"] = str(ROOT / "topics")
        assert self.run("topics", "apply").returncode == 0
        self.work("aggregate", "aggregate")
        until(lambda: self.run("query", "--metric", "clicks").returncode == 0, "the tables of windows")
        self.parts["aggregate"].end()
        self.environment["FLOTILLA_TOPICS"] = worker
        if windows:
            for ago in range(5):
                self.window(ago, ago + 1)

    def window(self, ago: int, count: int) -> None:
        """Clicks of a minute that was so long ago, of a campaign and of a country; and of its hour."""
        for step, unit in (("1m", "minute"), ("1h", "hour")):
            for dimension, value in (("", ""), ("country", "<i>de</i>")):
                self.psql(f"""INSERT INTO aggregate.windows SELECT 'spring', 'clicks', '{step}', at, '{dimension}', '{value}', at + interval '1 {unit}', 0,
                    {count}, {count} * 1000000, {count}, 1000000, 1000000, 1000000, '', '', true, 0
                    FROM (SELECT date_trunc('{unit}', now() - interval '{ago} minutes', 'UTC') AS at) moment
                    ON CONFLICT (campaign, metric, step, window_start, dimension, value) DO UPDATE SET count = excluded.count""")

    def console(self, *words: object) -> None:
        self.add("console", [FLOTILLA, "console", "--http", self.console_port, "--admin", 0, *words],
                 lambda: listens(("127.0.0.1", self.console_port)))
