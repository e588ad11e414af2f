"""The page about the tables: current, whole, and with a unit for each number that has one."""

from __future__ import annotations

import pytest

from pipeline import tables_page
from pipeline.tables_page import layout_of, page
from telemetry.reading.fields import METRICS
from telemetry.tables.alerts import ALERTS
from telemetry.tables.curated import CURATED, DEVICES, READINGS, READINGS_HOURLY
from telemetry.tables.ground_truth import GROUND_TRUTH
from telemetry.tables.lake import TABLES
from telemetry.tables.raw import RAW
from telemetry.tables.table import METRIC_UNITS, Table
from tests.facts import facts

each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


def test_should_be_current() -> None:
    assert facts(tables_page.PAGE.read_text()) == facts(page()), "write it again: python -m pipeline.tables_page"


def test_should_describe_every_table() -> None:
    assert set(TABLES) == {*CURATED, DEVICES, ALERTS, GROUND_TRUTH, RAW}


@each_table
def test_should_describe_every_column(table: Table) -> None:
    section = page().split(f"\n## {table.name}\n")[1].split("\n## ")[0]
    assert table.comment in section
    for column in (*table.columns, *table.partition_keys):
        assert f"\n| `{column.name}` | {column.type} | {column.unit} | {column.comment} |\n" in section


@each_table
def test_should_give_numbers_their_units(table: Table) -> None:
    numbers = [column.name for column in table.columns if column.type == "double" and not column.unit]
    assert numbers == []


@pytest.mark.parametrize(
    ("table", "column", "unit"),
    [
        (READINGS, "temperature", "°C"),
        (READINGS_HOURLY, "battery_stddev", "V"),
        (READINGS_HOURLY, "humidity_count", ""),
        (READINGS_HOURLY, "hour_start", "UTC"),
        (ALERTS, "fired_at", "UTC, RFC 3339"),
        (GROUND_TRUTH, "since", "UTC, RFC 3339"),
        (READINGS, "site", ""),
    ],
)
def test_should_know_the_unit_of(table: Table, column: str, unit: str) -> None:
    assert {each.name: each.unit for each in table.columns}[column] == unit


def test_should_know_the_unit_of_each_metric() -> None:
    assert all(METRIC_UNITS[metric] for metric in METRICS)


def test_should_say_where_files_lie() -> None:
    assert layout_of(DEVICES) == "One Parquet file, `devices/devices.parquet`; not partitioned."
    assert layout_of(ALERTS).startswith("JSON lines in `alerts/dt=…/hour=…/`, partitioned by `dt` (date of arrival")
    assert layout_of(CURATED[0]).startswith("Parquet in `readings/dt=…/`, partitioned by `dt` (date of the event time")


def test_should_name_the_queries_on_a_table() -> None:
    assert "Named queries: `alert-durations`, `alerts-by-rule`.\n" in page()
