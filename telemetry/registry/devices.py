"""The registered devices as rows of the table ``devices``: the registry's typed columns, parsed.

A value that cannot be used becomes None and a :class:`Problem`. ``iot registry apply`` refuses such a registry; the
curation logs them and goes on, because one wrong value must not stop it.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, Optional, TypeVar

import msgspec

from telemetry.registry.registry import Device, Registry
from telemetry.text.numbers import NUMBER

_Value = TypeVar("_Value")

#: The largest calibration offset, either way, in degrees Celsius: a sensor that is off by more is broken.
MAX_CALIBRATION_OFFSET = 50.0

# date.fromisoformat() accepts more from Python 3.11 on.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

#: Characters of a value that a problem shows.
_SHOWN = 40


class DeviceRow(NamedTuple):
    """A row of the table ``devices``; unknown values are None. ``attributes`` is the text of a JSON object."""

    device_id: str
    site: Optional[str]
    model: Optional[str]
    latitude: Optional[float]
    longitude: Optional[float]
    installed: Optional[dt.date]
    interval_seconds: Optional[float]
    calibration_offset: Optional[float]
    attributes: str


class Problem(msgspec.Struct, frozen=True):
    """A value that cannot be used: where, why (``is ...``), and what to write instead. ``line`` is None if unknown."""

    line: Optional[int]
    device: str
    column: str
    value: str
    why: str
    write: str

    def __str__(self) -> str:
        place = "" if self.line is None else f"line {self.line}: "
        shown = self.value if len(self.value) <= _SHOWN else self.value[:_SHOWN] + "…"
        return (
            f"{place}device {self.device!r}: {self.column} {shown!r} {self.why}; write {self.write}, or leave it empty"
        )


class Devices(NamedTuple):
    """The devices in the registry's order, and the problems with their values."""

    rows: list[DeviceRow]
    problems: list[Problem]


#: The numeric columns: a test of the value, and what to write.
_NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "latitude": (lambda value: -90 <= value <= 90, "degrees north from -90 to 90, such as 53.55"),
    "longitude": (lambda value: -180 <= value <= 180, "degrees east from -180 to 180, such as 9.99"),
    "interval": (lambda value: value > 0, "the seconds between two readings, more than 0, such as 60"),
    "calibration_offset": (
        lambda value: abs(value) <= MAX_CALIBRATION_OFFSET,
        f"degrees Celsius from -{MAX_CALIBRATION_OFFSET:g} to {MAX_CALIBRATION_OFFSET:g}, such as -0.3",
    ),
}

#: The optional columns of a registry that are parsed.
TYPED_COLUMNS = ("latitude", "longitude", "installed", "interval", "calibration_offset")


def devices(registry: Registry) -> Devices:
    """Return every device of a registry as a row, whatever its values are; never raise."""
    rows, problems = [], []
    for name, device in registry.devices.items():
        values = _Values(name, device.attributes, registry.lines.get(name))
        rows.append(
            DeviceRow(
                device_id=name,
                site=device.site or None,
                model=device.attributes.get("model") or None,
                latitude=values.read("latitude", _number),
                longitude=values.read("longitude", _number),
                installed=values.read("installed", _date),
                interval_seconds=values.read("interval", _number),
                calibration_offset=values.read("calibration_offset", _number),
                attributes=msgspec.json.encode(device.attributes).decode(),
            )
        )
        problems += values.problems
    return Devices(rows, problems)


def interval_of(device: Device) -> Optional[float]:
    """Return the seconds between two readings of a device; None where the registry does not say."""
    return _Values("", device.attributes, None).read("interval", _number)


class _Values:
    """The values of one device, and the problems of those that were read."""

    def __init__(self, device: str, attributes: Mapping[str, str], line: Optional[int]) -> None:
        self._device, self._attributes, self._line = device, attributes, line
        self.problems: list[Problem] = []

    def read(self, column: str, parse: Callable[[str, str], _Value]) -> Optional[_Value]:
        """Return the column's value; None if it is empty, missing or cannot be used."""
        text = self._attributes.get(column)
        if not text:
            return None
        try:
            return parse(column, text)
        except _UnusableError as error:
            self.problems.append(Problem(self._line, self._device, column, text, error.why, error.write))
            return None


class _UnusableError(ValueError):
    """A value cannot be used."""

    def __init__(self, why: str, write: str) -> None:
        self.why, self.write = why, write


def _number(column: str, text: str) -> float:
    usable, write = _NUMBERS[column]
    if not NUMBER.fullmatch(text):
        raise _UnusableError("is not a number", write)
    value = float(text)
    if not math.isfinite(value) or not usable(value):
        raise _UnusableError("is out of range", write)
    return value


def _date(_column: str, text: str) -> dt.date:
    try:
        if _DATE.fullmatch(text):
            return dt.date.fromisoformat(text)
    except ValueError:
        pass
    raise _UnusableError("is not a date", "it as YYYY-MM-DD, such as 2026-03-14")
