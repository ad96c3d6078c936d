"""Which librdkafka the fleet runs with: the system's, or the newest, put in front of it (FLOTILLA_LIBRDKAFKA=newest)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import confluent_kafka


def newest() -> Path:
    """The library inside the wheel that `requirements.txt` pins."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    [library] = folder.glob("librdkafka-*.so*")
    return library


def is_newest_meant() -> bool:
    meant = os.environ.get("FLOTILLA_LIBRDKAFKA", "")
    assert meant in ("", "newest"), f"FLOTILLA_LIBRDKAFKA is {meant}, not newest"
    return meant == "newest"


def version_meant() -> str:
    library = ctypes.CDLL(str(newest()) if is_newest_meant() else "librdkafka.so.1")
    library.rd_kafka_version_str.restype = ctypes.c_char_p
    return library.rd_kafka_version_str().decode()
