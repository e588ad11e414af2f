"""Newline-delimited JSON batches to readings and back.

A batch is what one gateway sends in one stream record: UTF-8 JSON, one reading a line, each line ended
by ``\\n``. An invalid line never stops the others: it comes back with the reason. Blank lines are
nothing: Firehose puts one after each record that ends its last line itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Optional, get_args

import msgspec

from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_ID_LENGTH, MAX_LATENESS, Reading

#: Why a line is not a valid reading. The same words stand in the detector's metric and in the quarantine table.
Reason = Literal[
    "empty",
    "not_utf8",
    "not_json",
    "missing_field",
    "wrong_type",
    "out_of_bounds",
    "from_future",
    "too_late",
]

#: The reasons with which a line can still name its device.
REASONS_WITH_DEVICE: tuple[Reason, ...] = ("missing_field", "wrong_type", "out_of_bounds", "from_future", "too_late")


class Rejected(NamedTuple):
    """An invalid line: the line itself, the reason, and the decoder's words for a person.

    ``device`` and ``site`` are those that the line names; empty where it names none.
    """

    line: bytes
    reason: Reason
    detail: str
    device: str = ""
    site: str = ""


class Batch(NamedTuple):
    """Contents of a stream record, in its order."""

    readings: list[Reading]
    rejected: list[Rejected]


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Reading)


class _Named(msgspec.Struct):
    """The names in a line that is not a valid reading."""

    device_id: Any = ""
    site: Any = ""


_names_decoder = msgspec.json.Decoder(_Named)


def encode_batch(readings: Iterable[Reading]) -> bytes:
    """Readings as newline-delimited JSON, each line ended by ``\\n``."""
    return _encoder.encode_lines(readings)


def decode_batch(data: bytes, arrived: Optional[dt.datetime] = None, *, keep_lines: bool = True) -> Batch:
    """Split ``data`` into readings and rejected lines; never raises, whatever the bytes.

    With ``arrived`` (UTC), a reading whose event time lies more than ``MAX_CLOCK_SKEW`` after it or more
    than ``MAX_LATENESS`` before it is rejected too. A record without a line is one rejected empty line.

    Without ``keep_lines``, a rejected line that names no device is its reason alone, so that a record of millions of
    lines, which others may write into the stream, takes a quarter of the memory.
    """
    readings = _decode_whole(data)
    if readings is not None and (arrived is None or _all_timely(readings, arrived)):
        return Batch(readings, [])
    return _decode_line_by_line(data, arrived, keep_lines=keep_lines)


def _decode_whole(data: bytes) -> Optional[list[Reading]]:
    """The readings of a batch of nothing but good lines, faster than line by line; None for others.

    The decoder would take two readings in one line, and one spread over several: an object's end, a line's end and
    an object's beginning follow one another only between readings, so they must be all the ends of lines there are.
    """
    lines = data.strip(b"\n")
    ends = lines.count(b"\n")
    if lines.count(b"}\n{") != ends or not is_utf8(lines):
        return None
    try:
        readings = _decoder.decode_lines(lines)
    except (msgspec.DecodeError, RecursionError):
        return None
    return readings if len(readings) == ends + 1 else None


def _all_timely(readings: list[Reading], arrived: dt.datetime) -> bool:
    latest, earliest = arrived + MAX_CLOCK_SKEW, arrived - MAX_LATENESS
    for reading in readings:  # noqa: SIM110 - every reading of the stream comes by here, and all() takes twice as long
        if not earliest <= reading.ts <= latest:
            return False
    return True


def _decode_line_by_line(data: bytes, arrived: Optional[dt.datetime], *, keep_lines: bool) -> Batch:
    readings: list[Reading] = []
    rejected: list[Rejected] = []
    lines = [line for line in data.split(b"\n") if not is_blank(line)]
    if not lines:
        rejected.append(Rejected(data, "empty", "there is no line in it"))
    # The decoder skips the fields it does not know unread, so the encoding is checked apart: once for the
    # whole record, and line by line only where that fails.
    checked = is_utf8(data)
    for line in lines:
        if not checked and not is_utf8(line):
            rejected.append(
                Rejected(line, "not_utf8", "the line is not valid UTF-8") if keep_lines else _ANY["not_utf8"]
            )
            continue
        try:
            reading = _decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            reason, names = _reason(error), _names(line)
            rejected.append(Rejected(line, reason, str(error), *names) if keep_lines or names[0] else _ANY[reason])
            continue
        untimely = arrived and _untimely(reading.ts, arrived)
        if untimely:
            detail = f"ts {reading.ts.isoformat()} against arrival {arrived}"
            rejected.append(Rejected(line, untimely, detail, reading.device_id, reading.site))
        else:
            readings.append(reading)
    return Batch(readings, rejected)


#: What is left of a rejected line that names no device, where lines are not kept.
_ANY: dict[Reason, Rejected] = {reason: Rejected(b"", reason, "") for reason in get_args(Reason)}


def is_blank(data: bytes) -> bool:
    """Return whether the bytes have no line: blank lines are nothing, and a record or object of them is empty."""
    return not data or data.isspace()


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are valid UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _untimely(ts: dt.datetime, arrived: dt.datetime) -> Optional[Reason]:
    if ts > arrived + MAX_CLOCK_SKEW:
        return "from_future"
    if ts < arrived - MAX_LATENESS:
        return "too_late"
    return None


def _names(line: bytes) -> tuple[str, str]:
    """Return the device and the site that an invalid line names; empty where it names none that is valid."""
    try:
        names = _names_decoder.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return "", ""
    return _id(names.device_id), _id(names.site)


def _id(value: Any) -> str:
    return value if isinstance(value, str) and 1 <= len(value) <= MAX_ID_LENGTH else ""


#: The opening of msgspec's messages for a value of the right type with a value outside its bounds.
_BOUNDS_MESSAGES = (" <= ", " >= ", "of length", "Invalid enum value", "out of range")


def _reason(error: Exception) -> Reason:
    """Say why a line failed; only rejected lines pay for this."""
    if not isinstance(error, msgspec.ValidationError):
        return "not_json"
    message = str(error)
    if "missing required field" in message:
        return "missing_field"
    return "out_of_bounds" if any(words in message for words in _BOUNDS_MESSAGES) else "wrong_type"
