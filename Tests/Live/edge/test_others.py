"""The edge under clients that are not ours: the CloudEvents SDK, and schemathesis over /openapi.json."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from site_of_processes import Site


def event(number: int, data: dict | None) -> CloudEvent:
    attributes = {
        "specversion": "1.0", "id": f"sdk-{number}", "source": "/sdk", "type": "order.créated", "subject": "spring \u20ac",
        "time": datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone.utc), "datacontenttype": "application/json",
        "region": "eu west",
    }
    return CloudEvent(attributes=attributes, data=data)


def test_events_of_the_sdk(site: Site) -> None:
    site.start_edge()
    for number, make in enumerate([to_binary_event, to_structured_event]):
        message = make(event(number, {"campaign_id": "spring"}))
        request = urllib.request.Request(f"http://127.0.0.1:{site.port}/v1/events", bytes(message.body), dict(message.headers))
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 202
    records = site.tail()
    assert sorted(record["headers"]["ce_id"] for record in records) == ["sdk-0", "sdk-1"]
    for record in records:
        headers = record["headers"]
        assert headers["ce_source"] == "/flotilla/anonymous/sdk"
        assert (headers["ce_type"], headers["ce_subject"], headers["ce_region"]) == ("order.créated", "spring \u20ac", "eu west")
        assert headers["ce_time"].startswith("2026-05-04T03:02:01")


@pytest.mark.long
def test_nothing_that_the_description_allows_or_forbids_fails(site: Site) -> None:
    """What the description allows is taken, what it forbids is refused with a status that it names, and nothing is 5xx."""
    site.start_edge()
    done = subprocess.run(
        [Path(sys.executable).parent / "schemathesis", "run", f"http://127.0.0.1:{site.port}/openapi.json",
         "--max-examples", "60", "--seed", "7", "--workers", "1", "--no-color", "--phases", "examples,coverage,fuzzing",
         "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"],
        cwd=site.folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
