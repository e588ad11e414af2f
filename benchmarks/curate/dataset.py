"""The raw data every contender reads: where it lies and what is in it. What makes it is apart, with all it imports."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

#: To be counted up when the data is made otherwise than before: what is kept of it is made anew then.
_VERSION = 2

REGISTRY_KEY = "registry/devices.csv"
_CONTENTS = "contents.json"


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of the raw objects: ``rows`` readings, each once, and other lines.

    ``humidity`` is the sum of all readings' humidity, to tell that none was changed; ``until`` is when the last object
    had arrived.
    """

    rows: int
    duplicates: int
    malformed: int
    late: int
    objects: int
    humidity: float
    until: dt.datetime


def folder_of(kept: Path, rows: int) -> Path:
    """Where the data of so many readings lies among what is kept: raw objects, a registry, and what they hold."""
    return kept / f"curate-v{_VERSION}-{rows}"


def raw_objects(data: Path) -> list[Path]:
    """The raw objects, in the order in which they arrived."""
    return sorted((data / "raw").glob("dt=*/hour=*/*"))


def contents(data: Path) -> Contents:
    """Return the contents of a data set; raise FileNotFoundError if it was never completed."""
    return msgspec.json.decode((data / _CONTENTS).read_bytes(), type=Contents)


def seal(data: Path, made: Contents) -> None:
    """Say that the data is whole."""
    (data / _CONTENTS).write_bytes(msgspec.json.encode(made))
