"""The Glue catalog has exactly the columns that ``telemetry.tables`` says."""

from __future__ import annotations

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from cdk.constructs.catalog import Catalog
from telemetry.reading import Reading
from telemetry.tables import CURATED, RAW, Column, Table


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
    )
    return Template.from_stack(stack)


def _columns(columns: tuple[Column, ...]) -> list[dict[str, str]]:
    return [{"Name": column.name, "Type": column.type, "Comment": column.comment} for column in columns]


@pytest.mark.parametrize("table", [RAW, *CURATED], ids=lambda table: table.name)
def test_should_declare_the_columns_of(table: Table, catalog: Template) -> None:
    tables = {
        found["Properties"]["TableInput"]["Name"]: found["Properties"]["TableInput"]
        for found in catalog.find_resources("AWS::Glue::Table").values()
    }

    assert tables[table.name]["StorageDescriptor"]["Columns"] == _columns(table.columns)
    assert tables[table.name]["PartitionKeys"] == _columns(table.partition_keys)


def test_should_have_a_raw_column_for_every_field_of_a_reading() -> None:
    assert RAW.column_names == Reading.__struct_fields__
