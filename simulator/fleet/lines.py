"""Lines of JSON as devices send them, made a column at a time, and the ways in which one gets damaged."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from simulator.models.randomness import Floats, Places
from telemetry.reading.codec import Reason
from telemetry.reading.fields import FIELDS, METRICS
from telemetry.reading.model import STATUSES

#: ``flags`` of a line: sent before, not a valid reading, held back, overtaken by a younger reading of its device.
DUPLICATE, MALFORMED, LATE, REORDERED = 1, 2, 4, 8

#: The same while faults are applied: heard through a second gateway.
SECOND = 16

#: Ahead of any arrival, however old the run's start.
_CLOCK_ERROR = dt.timedelta(days=3650)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Lines(NamedTuple):
    """Lines as columns. ``device`` is the device's place in the fleet; times are in microseconds since 1970.

    ``gateway`` is the place of the gateway through which it is heard, which may be another than the device's own.
    ``taken`` is when the reading was taken, ``shown`` when by the device's own clock, ``sent`` when its gateway passes
    it on. ``damage`` is the number of what is wrong with it in :data:`DAMAGES`, -1 for nothing; ``padding`` is the
    length of a field that nobody knows, 0 for none.
    """

    device: Places
    gateway: Places
    seq: Places
    taken: Places
    shown: Places
    sent: Places
    temperature: Floats
    humidity: Floats
    battery: Floats
    status: NDArray[np.int8]
    flags: NDArray[np.uint8]
    damage: NDArray[np.int8]
    padding: NDArray[np.int32]

    def rows(self, which: NDArray[Any]) -> Lines:
        """Return these rows only, by number or by mask."""
        return Lines(*(column[which] for column in self))


def joined(parts: Sequence[Lines]) -> Lines:
    """Join the rows of several parts."""
    return parts[0] if len(parts) == 1 else Lines(*map(np.concatenate, zip(*parts, strict=True)))


_Fields = dict[str, Any]


def _encode(fields: _Fields) -> bytes:
    return msgspec.json.encode(fields)


def _cut(fields: _Fields) -> bytes:
    line = _encode(fields)
    return line[: len(line) // 2]


def _not_utf8(fields: _Fields) -> bytes:
    site = _encode(fields["site"])
    return _encode(fields).replace(site, site[:-1] + b'\xff"')


#: A way to damage a line for each reason to reject one.
_DAMAGES: dict[Reason, Callable[[_Fields], bytes]] = {
    "not_json": _cut,
    "wrong_type": lambda fields: _encode(fields | {"temperature": "warm"}),
    "out_of_bounds": lambda fields: _encode(fields | {"temperature": 999.9}),
    "not_utf8": _not_utf8,
    "missing_field": lambda fields: _encode({name: value for name, value in fields.items() if name != "ts"}),
    "from_future": lambda fields: _encode(fields | {"ts": fields["ts"] + _CLOCK_ERROR}),
}

#: Why damaged lines are rejected, by their number.
DAMAGES: tuple[Reason, ...] = tuple(_DAMAGES)

#: A reading as it is encoded: the fields of the contract that the models fill, in its order. One that is made by
#: position takes half the time of a :class:`~telemetry.reading.model.Reading` that is made by name.
_FILLED = [field.name for field in FIELDS if field.name not in METRICS or field.name in Lines._fields]
_Line = msgspec.defstruct("_Line", [(name, Any) for name in _FILLED], gc=False)

_encoder = msgspec.json.Encoder()


class Encoder:
    """Encodes lines of a fleet whose devices and their sites are these, in the order of their places."""

    def __init__(self, devices: Sequence[str], sites: Sequence[str]) -> None:
        self._devices = np.array(devices, dtype=object)
        self._sites = np.array(sites, dtype=object)

    def encode(self, lines: Lines) -> tuple[bytes, Places]:
        """Return the lines, each ended by ``\\n``, and where each begins; the last number is where they end."""
        columns: dict[str, Sequence[object]] = {
            "device_id": self._devices[lines.device].tolist(),
            "site": self._sites[lines.device].tolist(),
            "ts": moments(lines.shown),
            "seq": lines.seq.tolist(),
            "temperature": lines.temperature.round(2).tolist(),
            "humidity": lines.humidity.round(2).tolist(),
            "battery": lines.battery.round(3).tolist(),
            "status": [STATUSES[status] for status in lines.status.tolist()],
        }
        made: list[Any] = list(map(_Line, *(columns[name] for name in _FILLED)))
        for row in np.flatnonzero((lines.damage >= 0) | (lines.padding > 0)).tolist():
            made[row] = _odd(msgspec.structs.asdict(made[row]), int(lines.damage[row]), int(lines.padding[row]))
        return as_lines(made)


def as_lines(values: Sequence[object]) -> tuple[bytes, Places]:
    """Return the values as JSON lines, and where each begins; the last number is where they end."""
    text = _encoder.encode_lines(values)
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n")) + 1
    return text, np.concatenate((np.zeros(1, np.int64), ends))


def moments(times: Places) -> list[dt.datetime]:
    """Return microseconds since 1970 as times (UTC)."""
    return [_EPOCH + since for since in times.astype("timedelta64[us]").tolist()]


def _odd(fields: _Fields, damage: int, padding: int) -> msgspec.Raw:
    if padding:
        fields["padding"] = "x" * padding
    return msgspec.Raw(_DAMAGES[DAMAGES[damage]](fields) if damage >= 0 else _encode(fields))
