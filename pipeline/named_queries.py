"""The usual questions about the lake, ready to be asked: one file each in ``pipeline/queries``.

A file begins with comments that say its title and a description; the name is the file's::

    -- title: Hottest devices
    -- description: The 20 devices with the highest temperatures of the last 7 days

They are written for Athena, which is Trino, and in words that DuckDB knows too, for that is what the embedded AWS asks:

* ``date_diff``, ``max_by``, ``cume_dist``, ``regr_slope`` and ``CAST``, but not ``approx_percentile``, ``date_format``
  or ``from_iso8601_timestamp``;
* days ago are ``CAST(CAST(current_date - interval '7' day AS date) AS varchar)``, since DuckDB's date less an interval
  is a timestamp;
* now is ``CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)``, since a laptop may stand in another time zone;
* one operand of a division is a double, since 1 / 2 is 0 in Trino and 0.5 in DuckDB.

Each names the partitions (``dt``) that it needs, so that it reads, and costs, no more.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import msgspec

from pipeline.errors import PipelineError

FOLDER = Path(__file__).parent / "queries"

_HEADER = re.compile(r"-- title: (?P<title>.+)\n-- description: (?P<description>.+)\n")


class NamedQuery(msgspec.Struct, frozen=True):
    """One question. ``sql`` is the whole file, its header included."""

    name: str
    title: str
    description: str
    sql: str


def load(folder: Path = FOLDER) -> tuple[NamedQuery, ...]:
    """All of them by name; raises :class:`PipelineError` for a file that does not say what it is."""
    return tuple(_parse(file) for file in sorted(folder.glob("*.sql")))


def find(name: str) -> NamedQuery:
    """The query of that name; raises :class:`PipelineError` with those there are if there is none."""
    queries = {query.name: query for query in load()}
    if name in queries:
        return queries[name]
    near = difflib.get_close_matches(name, queries, n=1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(queries)}."
    raise PipelineError(f"no query is named {name!r}: {meant} 'iot query --list' says what each answers")


def _parse(file: Path) -> NamedQuery:
    sql = file.read_text(encoding="utf-8")
    header = _HEADER.match(sql)
    if header is None:
        raise PipelineError(f"{file} has to begin with the lines '-- title: ...' and '-- description: ...'")
    return NamedQuery(file.stem, header["title"].strip(), header["description"].strip(), sql)
