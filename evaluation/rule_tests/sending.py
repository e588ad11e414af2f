"""From the series of a test to the records that arrive: what devices measure, and how it is sent."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from evaluation.rule_tests.series import NOTHING, NULL, SeriesError, numbers, refusals, statuses
from telemetry.reading.codec import Reason
from telemetry.reading.fields import METRICS
from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_LATENESS, Reading
from telemetry.text.durations import format_duration, parse_duration
from telemetry.text.errors import TextError
from telemetry.text.typed_yaml import explain
from telemetry.text.yaml_text import Path

_COLUMNS = (*METRICS, "status", "rejected")
_WAYS = ("from", "interval", "arrives", "delay", "batch", "order", "again", "clock", "seq")
_KEYS = ("device", "site", "gateway", *_COLUMNS, *_WAYS)
_ORDERS = ("oldest first", "newest first")
_RANGE = re.compile(r"\{([0-9]+)\.\.([0-9]+)\}")
_SIGNED = re.compile(r"([-+]?)(.*)", re.DOTALL)

#: The most readings of one test: a test is not a load test.
MAX_READINGS = 1_000_000

Raw = Mapping[str, str | float | list[str]]
Fail = Callable[[Path, str], TextError]


class Arrival(NamedTuple):
    """A record, when it arrives, and through which gateway."""

    at: dt.datetime
    gateway: str
    data: bytes


class _Step(NamedTuple):
    """One place of a series: what is measured then, which may be nothing; ``seq`` where the series numbers itself."""

    measured: dt.timedelta
    values: Mapping[str, Any]
    seq: int | None


class _Series(NamedTuple):
    """A series of the file, read."""

    number: int
    devices: list[str]
    site: str
    gateways: list[str]
    steps: list[_Step]
    arrivals: list[dt.timedelta]
    newest_first: bool
    again: dt.timedelta | None
    clock: dt.timedelta


def expanded(name: str) -> list[str]:
    """Return the names that ``name`` stands for: ``d{1..3}`` is d1, d2 and d3, ``d{01..12}`` has two digits each.

    Raises :class:`TextError` for too many.
    """
    ranges = [(int(first), int(last)) for first, last in _RANGE.findall(name)]
    if math.prod(max(0, last - first + 1) for first, last in ranges) > MAX_READINGS:
        raise TextError(f"{name!r} stands for more than {MAX_READINGS:,} names")
    parts: list[list[str]] = []
    end = 0
    for match in _RANGE.finditer(name):
        first, last = match.groups()
        width = len(first) if first.startswith("0") else 0
        parts += [[name[end : match.start()]], [f"{n:0{width}}" for n in range(int(first), int(last) + 1)]]
        end = match.end()
    return ["".join(chosen) for chosen in itertools.product(*parts, [name[end:]])]


def signed_duration(text: str) -> dt.timedelta:
    """Return a duration that may be negative; raise :class:`TextError`."""
    match = _SIGNED.fullmatch(text)
    sign, rest = match.groups() if match else ("", text)
    duration = parse_duration(rest)
    return -duration if sign == "-" else duration


class Sending:
    """Records that the series of one test send."""

    def __init__(self, series: Sequence[Raw], interval: dt.timedelta, start: dt.datetime, fail: Fail) -> None:
        """Read the series; ``fail`` makes an error at a path of the test, which is raised."""
        self._start = start
        self._fail = fail
        self._series = [self._read(number, raw, interval) for number, raw in enumerate(series)]
        #: The devices and the gateways that each is heard through.
        self.gateways: dict[str, set[str]] = defaultdict(set)
        for each in self._series:
            for device in each.devices:
                self.gateways[device].update(each.gateways)

    def records(self) -> list[Arrival]:
        """Return the records in the order in which they arrive."""
        by_device: dict[str, list[_Series]] = defaultdict(list)
        for series in self._series:
            for device in series.devices:
                by_device[device].append(series)
        lines: dict[tuple[dt.timedelta, str], dict[tuple[int, str], list[bytes]]] = defaultdict(dict)
        for device, its in by_device.items():
            numbered = _numbered(its)
            for series in its:
                self._send(device, series, numbered, lines)
        return [
            Arrival(self._start + at, gateway, b"".join(_in_order(lines[at, gateway])))
            for at, gateway in sorted(lines, key=lambda key: key[0])
        ]

    def _send(
        self,
        device: str,
        series: _Series,
        numbered: Mapping[tuple[int, int], int],
        lines: dict[tuple[dt.timedelta, str], dict[tuple[int, str], list[bytes]]],
    ) -> None:
        for place, (step, arrives) in enumerate(zip(series.steps, series.arrivals, strict=True)):
            if not step.values:
                continue
            seq = numbered[series.number, place] if step.seq is None else step.seq
            line = self._line(device, series, step, seq, arrives)
            for at in (arrives,) if series.again is None else (arrives, arrives + series.again):
                for gateway in series.gateways:
                    sent = lines[at, gateway].setdefault((series.number, device), [])
                    sent.insert(0 if series.newest_first else len(sent), line)

    def _line(self, device: str, series: _Series, step: _Step, seq: int, arrives: dt.timedelta) -> bytes:
        values = {name: None if value == NULL else value for name, value in step.values.items() if name != "rejected"}
        said = {
            "device_id": device,
            "site": series.site,
            "ts": self._start + step.measured + series.clock,
            "seq": seq,
            "status": "ok",
            **values,
        }
        try:
            line = msgspec.to_builtins(msgspec.convert(said, Reading))
        except msgspec.ValidationError as error:
            raise self._fail(
                ("series", series.number),
                f"at {format_duration(step.measured)}: no device can send that: {explain(error)}; "
                "'rejected: out_of_bounds' sends a line that is refused",
            ) from error
        reason = step.values.get("rejected")
        if reason:
            _SPOILT[reason](line, self._start + arrives)
        return msgspec.json.encode(line) + b"\n"

    # Reading a series

    def _read(self, number: int, raw: Raw, interval: dt.timedelta) -> _Series:
        for key, value in raw.items():
            if key not in _KEYS:
                raise self._fail(("series", number, key), f"there is no such key; there are {', '.join(_KEYS)}")
            if isinstance(value, list) and key != "gateway":
                raise self._fail(("series", number, key), "only a gateway can be a list")
        if "device" not in raw:
            raise self._fail(("series", number), "it needs a device, such as 'device: d1'")
        begins = self._duration(number, raw, "from") or dt.timedelta()
        every = interval if "interval" not in raw else self._duration(number, raw, "interval")
        if not every:
            raise self._fail(("series", number, "interval"), "it must be more than zero")
        first = self._whole(number, raw, "seq", least=0)
        columns = {name: self._column(number, name, str(raw.get(name, ""))) for name in _COLUMNS}
        steps = [
            _Step(begins + step * every, _values(columns, step), None if first is None else first + step)
            for step in range(max(map(len, columns.values())))
        ]
        try:
            devices = expanded(str(raw["device"]))
        except TextError as error:
            raise self._fail(("series", number, "device"), str(error)) from error
        if len(devices) * len(steps) > MAX_READINGS:
            raise self._fail(
                ("series", number, "device"), f"more than {MAX_READINGS:,} readings: a test is not a load test"
            )
        gateways = raw.get("gateway", "gateway")
        order = str(raw.get("order", _ORDERS[0]))
        if order not in _ORDERS:
            raise self._fail(
                ("series", number, "order"), f"invalid order {order!r}: write {' or '.join(map(repr, _ORDERS))}"
            )
        return _Series(
            number=number,
            devices=devices,
            site=str(raw.get("site", "site")),
            gateways=[str(name) for name in (gateways if isinstance(gateways, list) else [gateways])],
            steps=steps,
            arrivals=self._arrivals(number, raw, steps),
            newest_first=order == _ORDERS[1],
            again=self._duration(number, raw, "again"),
            clock=self._signed(number, raw, "clock"),
        )

    def _arrivals(self, number: int, raw: Raw, steps: Sequence[_Step]) -> list[dt.timedelta]:
        """Return when each value of a series arrives."""
        arrives, delay = self._duration(number, raw, "arrives"), self._duration(number, raw, "delay")
        batch = self._whole(number, raw, "batch", least=1) or 1
        if arrives is None:
            late = delay or dt.timedelta()
            last = len(steps) - 1
            return [steps[min(place - place % batch + batch - 1, last)].measured + late for place in range(len(steps))]
        for key in ("delay", "batch"):
            if key in raw:
                raise self._fail(("series", number, key), "with 'arrives', all arrive at one time; leave this out")
        if steps and arrives < steps[-1].measured:
            raise self._fail(
                ("series", number, "arrives"),
                f"the last value is measured at {format_duration(steps[-1].measured)}, and cannot arrive before that",
            )
        return [arrives] * len(steps)

    def _column(self, number: int, name: str, text: str) -> Sequence[float | str]:
        read = {"status": statuses, "rejected": refusals}.get(name, numbers)
        try:
            return read(text)
        except SeriesError as error:
            raise self._fail(("series", number, name), str(error)) from error

    def _duration(self, number: int, raw: Raw, key: str) -> dt.timedelta | None:
        try:
            return parse_duration(str(raw[key])) if key in raw else None
        except TextError as error:
            raise self._fail(("series", number, key), str(error)) from error

    def _signed(self, number: int, raw: Raw, key: str) -> dt.timedelta:
        try:
            return signed_duration(str(raw.get(key, "0s")))
        except TextError as error:
            raise self._fail(("series", number, key), str(error)) from error

    def _whole(self, number: int, raw: Raw, key: str, *, least: int) -> int | None:
        if key not in raw:
            return None
        value = raw[key]
        if not isinstance(value, float | int) or value < least or value != int(value):
            raise self._fail(
                ("series", number, key), f"invalid number {value!r}: write a whole number, at least {least}"
            )
        return int(value)


def _values(columns: Mapping[str, Sequence[float | str]], step: int) -> Mapping[str, Any]:
    return {name: column[step] for name, column in columns.items() if step < len(column) and column[step] != NOTHING}


def _numbered(series: Sequence[_Series]) -> dict[tuple[int, int], int]:
    """Return the numbers of a device's values, by series and place: in the order in which they are measured."""
    places = [(step.measured, each.number, place) for each in series for place, step in enumerate(each.steps)]
    numbers: dict[tuple[int, int], int] = {}
    following = 0
    own = {each.number: each.steps[0].seq for each in series if each.steps}
    for _, number, place in sorted(places):
        first = own[number]
        numbers[number, place] = following if first is None else first + place
        following = numbers[number, place] + 1
    return numbers


def _in_order(by_series: Mapping[tuple[int, str], Sequence[bytes]]) -> Iterator[bytes]:
    for _, lines in sorted(by_series.items(), key=lambda each: each[0][0]):
        yield from lines


def _without_status(line: dict[str, Any], _: dt.datetime) -> None:
    del line["status"]


def _with(name: str, value: object) -> Callable[[dict[str, Any], dt.datetime], None]:
    return lambda line, _: line.update({name: value})


def _off_by(distance: dt.timedelta) -> Callable[[dict[str, Any], dt.datetime], None]:
    return lambda line, arrived: line.update(ts=(arrived + distance).isoformat())


#: Ways to spoil a line that names its device, by the reason for which it is refused.
_SPOILT: dict[Reason, Callable[[dict[str, Any], dt.datetime], None]] = {
    "missing_field": _without_status,
    "wrong_type": _with("status", 1),
    "out_of_bounds": _with("temperature", 1e6),
    "from_future": _off_by(2 * MAX_CLOCK_SKEW),
    "too_late": _off_by(-MAX_LATENESS - MAX_CLOCK_SKEW),
}
