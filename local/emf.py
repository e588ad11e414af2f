"""Reads CloudWatch's embedded metric format: a log line that carries metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

# fmt: off
Unit = Literal[
    "Seconds", "Microseconds", "Milliseconds",
    "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes",
    "Bits", "Kilobits", "Megabits", "Gigabits", "Terabits",
    "Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second",
    "Bits/Second", "Kilobits/Second", "Megabits/Second", "Gigabits/Second", "Terabits/Second",
    "Percent", "Count", "Count/Second", "None",
]
# fmt: on

#: What a metric may have in one line.
_MAX_VALUES = 100

#: What CloudWatch takes: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
_MAX_VALUE = 2.0**360

#: The last millisecond of the year 9999.
_MAX_TIMESTAMP = 253_402_300_799_999


class BadLineError(ValueError):
    """A line that means to carry metrics and breaks the format; the message says how."""


class Series(NamedTuple):
    """A metric as CloudWatch tells it from others, and its unit; the dimensions are sorted by name."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    unit: Unit


class Sample(NamedTuple):
    """Values of one series at one moment, in milliseconds since 1970."""

    series: Series
    timestamp: int
    values: tuple[float, ...]


class _Definition(msgspec.Struct, rename="pascal"):
    name: str
    unit: Unit = "None"


class _Directive(msgspec.Struct, rename="pascal"):
    namespace: str
    dimensions: list[list[str]]
    metrics: list[_Definition]


class _Metadata(msgspec.Struct, rename="pascal"):
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=_MAX_TIMESTAMP)]
    cloud_watch_metrics: list[_Directive]


_Value = Annotated[float, msgspec.Meta(ge=-_MAX_VALUE, le=_MAX_VALUE)]
_Values = _Value | Annotated[list[_Value], msgspec.Meta(max_length=_MAX_VALUES)]


def parse(line: str) -> list[Sample]:
    """Return the samples in a log line; none if it does not mean to carry any.

    Raises :class:`BadLineError` for one that does and cannot be understood: none of its metrics counts then.
    """
    if '"_aws"' not in line:
        return []
    try:
        root = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return []  # a line that quotes the name
    if not isinstance(root, dict) or "_aws" not in root:
        return []
    try:
        metadata = msgspec.convert(root["_aws"], _Metadata)
        return list(_samples(metadata, root))
    except msgspec.ValidationError as error:
        raise BadLineError(str(error)) from error


def _samples(metadata: _Metadata, root: dict[str, Any]) -> Iterator[Sample]:
    for directive in metadata.cloud_watch_metrics:
        for names in directive.dimensions:
            dimensions = tuple((name, _member(root, name, str)) for name in sorted(names))
            for metric in directive.metrics:
                values = _member(root, metric.name, _Values)
                series = Series(directive.namespace, metric.name, dimensions, metric.unit)
                yield Sample(series, metadata.timestamp, tuple(values) if isinstance(values, list) else (values,))


def _member(root: dict[str, Any], name: str, kind: Any) -> Any:
    """Return what a name in the metadata refers to."""
    if name not in root:
        raise BadLineError(f"{name} is named and not there")
    try:
        return msgspec.convert(root[name], kind)
    except msgspec.ValidationError as error:
        raise BadLineError(f"{name}: {error}") from error
