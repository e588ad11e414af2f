"""The Glue catalog has exactly the tables and columns that ``telemetry.tables`` declares."""

from __future__ import annotations

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from cdk.constructs.catalog import Catalog
from telemetry.alerting.transitions import Transition
from telemetry.reading.model import Reading
from telemetry.tables.alerts import ALERTS
from telemetry.tables.curated import CURATED, DEVICES
from telemetry.tables.lake import TABLES
from telemetry.tables.raw import RAW
from telemetry.tables.table import Column, Table


@pytest.fixture(scope="module")
def catalog() -> Template:
    stack = Stack(App(analytics_reporting=False, builtin_cloud_formation_validation=False), "test")
    Catalog(
        stack,
        "Catalog",
        database_name="iot_test",
        raw_bucket=s3.Bucket(stack, "Raw"),
        raw_retention_days=30,
        lake_bucket=s3.Bucket(stack, "Lake"),
        lake_retention_days=None,
    )
    return Template.from_stack(stack)


def _columns(columns: tuple[Column, ...]) -> list[dict[str, str]]:
    return [{"Name": column.name, "Type": column.type, "Comment": column.comment} for column in columns]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_should_declare_the_columns_of(table: Table, catalog: Template) -> None:
    tables = {
        found["Properties"]["TableInput"]["Name"]: found["Properties"]["TableInput"]
        for found in catalog.find_resources("AWS::Glue::Table").values()
    }

    assert tables[table.name]["StorageDescriptor"]["Columns"] == _columns(table.columns)
    assert tables[table.name]["PartitionKeys"] == _columns(table.partition_keys)


def test_should_partition_curated_tables_by_day_and_what_is_delivered_by_hour() -> None:
    keys = {table.name: tuple(key.name for key in table.partition_keys) for table in (RAW, ALERTS, *CURATED, DEVICES)}

    by_day = dict.fromkeys((table.name for table in CURATED), ("dt",))
    assert keys == {"raw": ("dt", "hour"), "alerts": ("dt", "hour"), **by_day, "devices": ()}


def test_should_have_a_raw_column_for_every_field_of_a_reading() -> None:
    assert RAW.column_names == Reading.__struct_fields__


def test_should_have_a_column_for_every_field_of_a_transition() -> None:
    assert ALERTS.column_names == Transition.__struct_fields__


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("bigint", {"sequence"}),
        ("boolean", {"flapping"}),
        ("double", {"value", "threshold"}),
        # Times are text in JSON lines, which Hive's timestamp does not parse.
        ("timestamp", set()),
    ],
)
def test_should_give_alerts_columns_of_the_types_that_json_has(kind: str, columns: set[str]) -> None:
    assert {column.name for column in ALERTS.columns if column.type == kind} == columns
