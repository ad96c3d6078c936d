"""What docs/observability.md says of lines of level `error`: each that the sources have, and no other."""

from __future__ import annotations

import re

from outside import ROOT

CALL = re.compile(r'\blog\.error\(\s*"([^"]+)"')


def test_each_error_is_explained_and_no_other() -> None:
    written = {message for path in (ROOT / "Sources").rglob("*.swift") for message in CALL.findall(path.read_text())}
    page = (ROOT / "docs" / "observability.md").read_text()
    table = page.split("### Lines of level `error`")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    explained = {message for row in rows for message in re.findall(r"`([^`]+)`", row)}
    assert len(written) > 20
    assert written - explained == set(), "written, and not explained"
    assert explained - written == set(), "explained, and nowhere written"
