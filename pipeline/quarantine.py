"""The lines in quarantine: looking at them, and putting them back through the stream once they are repaired."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from pipeline.athena import query
from pipeline.errors import PipelineError
from pipeline.rows import structs
from simulator.sinks.record import MAX_RECORD_BYTES, Record
from simulator.sinks.sink import Sink, SinkError
from telemetry.reading.codec import Reason, decode_batch, is_utf8

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment

#: Why a line is in quarantine: invalid, in an object that cannot be read, or in conflict with an earlier reading.
QuarantineReason = Literal[Reason, "corrupt_object", "conflict"]

#: Which gateway replayed lines come from: the lake does not say which one sent them first.
REPLAY_GATEWAY = "replay"

_PREFIX = re.compile(r"[0-9a-f]{4,16}")


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """A line in quarantine, as the table has it; times are UTC, ``ts`` is that of a reading that is a conflict."""

    id: str
    reason: str
    detail: str = ""
    line: str = ""
    arrived: dt.datetime
    ts: dt.datetime | None = None
    raw_object: str
    raw_line: int
    raw_offset: int | None = None


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines: of a reason (None: of all), from the days (UTC) of arrival, or of the event time of a conflict."""

    reason: QuarantineReason | None = None
    first: dt.date | None = None
    last: dt.date | None = None

    @property
    def sql(self) -> str:
        """The condition on the table ``quarantine``."""
        conditions = [
            *([f"reason = '{self.reason}'"] if self.reason else []),
            *([f"dt >= '{self.first.isoformat()}'"] if self.first else []),
            *([f"dt <= '{self.last.isoformat()}'"] if self.last else []),
        ]
        return " AND ".join(conditions) or "TRUE"


def counts(session: boto3.Session, deployed: Deployment, selection: Selection) -> dict[str, int]:
    """Return how many lines there are of each reason, most first."""
    sql = f"SELECT reason, count(*) AS lines FROM quarantine WHERE {selection.sql} GROUP BY reason"  # noqa: S608
    frame = query(session, deployed, sql)
    found = Counter({str(reason): int(lines) for reason, lines in zip(frame["reason"], frame["lines"], strict=True)})
    return dict(found.most_common())


def lines(
    session: boto3.Session, deployed: Deployment, selection: Selection, limit: int | None = None
) -> list[Quarantined]:
    """Return the lines, newest first."""
    return _query(session, deployed, selection.sql, limit)


def by_id(session: boto3.Session, deployed: Deployment, prefix: str) -> Quarantined:
    """Return the line whose id begins with ``prefix``.

    Raises :class:`PipelineError` for what is no beginning of an id, of no line, or of several.
    """
    if not _PREFIX.fullmatch(prefix):
        raise PipelineError(f"invalid line id {prefix!r}: give at least its first 4 characters, of 0 to 9 and a to f")
    found = {line.id: line for line in _query(session, deployed, f"id LIKE '{prefix}%'", limit=100)}
    if not found:
        raise PipelineError(f"no line {prefix} is in quarantine; 'iot quarantine list' shows those that are")
    if len(found) > 1:
        shown = ", ".join(sorted(found)[:5]) + (" and more" if len(found) > 5 else "")
        raise PipelineError(f"{prefix} is the beginning of several lines' ids: {shown}; give more of it")
    return next(iter(found.values()))


#: The column ``line`` so that it comes through Athena's results as it is. They are CSV, in which pandas takes an empty
#: text and NaN for nothing, reads a carriage return as a line feed, and ends a text at a zero byte.
_LINE = r"concat('|', replace(replace(replace(line, '\', '\\'), chr(13), '\r'), chr(0), '\0'))"
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"r": "\r", "0": "\0", "\\": "\\"}


def _query(session: boto3.Session, deployed: Deployment, condition: str, limit: int | None) -> list[Quarantined]:
    columns = ", ".join(f"{_LINE} AS line" if name == "line" else name for name in Quarantined.__struct_fields__)
    most = "" if limit is None else f" LIMIT {limit}"
    sql = (
        f"SELECT {columns} FROM quarantine WHERE {condition} "  # noqa: S608
        f"ORDER BY arrived DESC, raw_object DESC, raw_line DESC{most}"
    )
    found = structs(query(session, deployed, sql), Quarantined)
    return [msgspec.structs.replace(line, line=_as_it_is(line.line)) for line in found]


def _as_it_is(text: str) -> str:
    return _ESCAPED.sub(lambda match: _MEANT[match[1]], text.removeprefix("|"))


class Offered(NamedTuple):
    """A line to be replayed; ``name`` says which it is of those that were offered, for a person."""

    name: str
    line: bytes


class Refused(NamedTuple):
    """A line that is not replayed, with the reason and the decoder's words."""

    name: str
    reason: Reason | Literal["too_long"]
    detail: str


class Sorted(NamedTuple):
    """Lines that are readings now, and those that are still none."""

    good: list[bytes]
    refused: list[Refused]


class _Listed(msgspec.Struct, frozen=True):
    """An object of ``iot quarantine list --json``, its ``line`` as text, or as the object that it stands for."""

    line: msgspec.Raw
    id: str = ""
    reason: str = ""
    device_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Offer(NamedTuple):
    """Contents of a file to replay; ``conflicts`` are the ids of its lines that contradicted a reading."""

    lines: list[Offered]
    conflicts: list[str]


_listed = msgspec.json.Decoder(_Listed)


def offered(text: bytes) -> Offer:
    """Return the lines of a file: each a bare line, or an object of ``iot quarantine list --json`` with the line in it.

    An object with a ``line`` and without a ``device_id``, which every reading has, is taken for the second.
    """
    found, conflicts = [], []
    for number, line in enumerate(text.split(b"\n"), start=1):
        if not line or line.isspace():
            continue
        row = _row(line)
        if row is None:
            found.append(Offered(f"line {number}", line))
            continue
        raw = bytes(row.line)
        repaired = msgspec.json.decode(raw, type=str).encode() if raw.startswith(b'"') else raw
        found.append(Offered(f"line {number}" + (f" ({row.id})" if row.id else ""), repaired))
        if row.reason == "conflict":
            conflicts.append(row.id)
    return Offer(found, conflicts)


def _row(line: bytes) -> _Listed | None:
    """Return the object of ``iot quarantine list --json`` that a line is; None for one that stands for itself."""
    try:
        row = _listed.decode(line) if is_utf8(line) else None
    except (msgspec.DecodeError, RecursionError):
        return None
    return row if row and row.device_id is msgspec.UNSET else None


def sort(candidates: Iterable[Offered], now: dt.datetime) -> Sorted:
    """Sort out which lines are valid readings if they arrive ``now`` (UTC), as detector and curation will see them."""
    good, refused = [], []
    for name, line in candidates:
        if len(line) >= MAX_RECORD_BYTES:
            refused.append(Refused(name, "too_long", f"{len(line):,} bytes do not fit into a record"))
            continue
        rejected = decode_batch(line, now).rejected
        refused += [Refused(name, each.reason, each.detail) for each in rejected]
        if not rejected:
            good.append(line)
    return Sorted(good, refused)


def send(sink: Sink, replayed: Sequence[bytes]) -> None:
    """Put lines on the stream, as records of :data:`REPLAY_GATEWAY`.

    Raises :class:`PipelineError` where not all of them were taken.
    """
    try:
        delivery = sink.send(list(_records(replayed)))
    except SinkError as error:
        raise _incomplete(error.unsent, len(replayed), str(error)) from error
    if delivery.refused:
        raise _incomplete(delivery.refused, len(replayed), delivery.reason)


def _incomplete(unsent: Sequence[Record], of: int, reason: str) -> PipelineError:
    count = sum(record.lines for record in unsent)
    return PipelineError(
        f"{count:,} of {of:,} lines were not sent ({reason}); replay all of them again: those that were sent do no harm"
    )


def _records(replayed: Iterable[bytes]) -> Iterator[Record]:
    batch: list[bytes] = []
    size = 0
    for line in replayed:
        if batch and size + len(line) + 1 > MAX_RECORD_BYTES:
            yield _record(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield _record(batch)


def _record(batch: list[bytes]) -> Record:
    return Record(REPLAY_GATEWAY, b"".join(line + b"\n" for line in batch), len(batch))
