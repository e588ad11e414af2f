"""What is derived from Reading."""

from __future__ import annotations

from typing import Annotated

import msgspec

from telemetry.reading.fields import FIELDS, METRICS, fields_of
from telemetry.reading.model import Reading
from telemetry.tables.curated import READINGS_HOURLY
from telemetry.tables.lake import TABLES


def test_should_describe_every_field_in_its_order() -> None:
    assert tuple(field.name for field in FIELDS) == Reading.__struct_fields__
    by_name = {field.name: field for field in FIELDS}
    assert (by_name["ts"].kind, by_name["ts"].required, by_name["ts"].nullable) == ("timestamp", True, False)
    assert (by_name["seq"].kind, by_name["seq"].minimum, by_name["seq"].maximum) == ("integer", 0, 2**63 - 1)
    assert (by_name["humidity"].minimum, by_name["humidity"].maximum) == (0, 100)
    assert by_name["humidity"].nullable
    assert not by_name["humidity"].required
    assert by_name["status"].choices == ("degraded", "fault", "ok")


def test_should_take_a_new_number_for_a_metric() -> None:
    class Wider(Reading, frozen=True, kw_only=True):
        pressure: Annotated[float, msgspec.Meta(ge=300, le=1100)] | None = None

    (pressure,) = [field for field in fields_of(Wider) if field not in FIELDS]
    assert (pressure.name, pressure.kind, pressure.minimum, pressure.nullable) == ("pressure", "number", 300, True)


def test_should_have_every_metric_in_the_hourly_table() -> None:
    for metric in METRICS:
        assert {f"{metric}_mean", f"{metric}_p95"} <= set(READINGS_HOURLY.column_names)


def test_should_explain_every_column() -> None:
    for table in TABLES:
        names = [column.name for column in (*table.columns, *table.partition_keys)]
        assert len(names) == len(set(names))
        assert all(column.comment and column.comment != column.name for column in table.columns)
