"""The lake's tables in the Glue catalog, derived from the list of them in ``telemetry.tables.lake``."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import Aws
from aws_cdk import aws_glue as glue
from aws_cdk import aws_s3 as s3
from constructs import Construct

from telemetry.tables.lake import TABLES
from telemetry.tables.raw import RAW
from telemetry.tables.table import Column, Table

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_JSON_SERDE = "org.openx.data.jsonserde.JsonSerDe"
_PARQUET_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_PARQUET_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
_PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"

#: The projection wants a beginning where alerts are kept for good: a day before there was any. Athena looks into each
#: hour since then, unless a query says which days it is about.
_FIRST_ALERTS = "2026-11-01"


class Catalog(Construct):
    """The database, the tables over what Firehose delivers and the curated tables.

    Partitions of what is delivered are projected: Firehose makes a new folder each hour and registers nothing.
    Curated ones are registered: a run swaps a whole partition by pointing its entry at new files. The table of devices
    has none: it is one object.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        database_name: str,
        raw_bucket: s3.IBucket,
        raw_retention_days: int,
        lake_bucket: s3.IBucket,
        lake_retention_days: int | None,
    ) -> None:
        super().__init__(scope, construct_id)
        self.database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Aws.ACCOUNT_ID,
            database_name=database_name,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=database_name, description="Readings of the fleet, raw and curated, and its alerts"
            ),
        )
        first_day = f"NOW-{lake_retention_days}DAYS" if lake_retention_days else _FIRST_ALERTS
        for table in TABLES:
            if table is RAW:
                self._delivered(table, raw_bucket, f"NOW-{raw_retention_days}DAYS")
            elif table.kind == "delivered":
                self._delivered(table, lake_bucket, first_day)
            else:
                self._curated(table, lake_bucket)

    def _curated(self, table: Table, bucket: s3.IBucket) -> None:
        """Declare a table over the Parquet files that the curation job writes."""
        self._table(
            table,
            glue.CfnTable.StorageDescriptorProperty(
                columns=_columns(table.columns),
                location=_location(table, bucket),
                input_format=_PARQUET_INPUT,
                output_format=_PARQUET_OUTPUT,
                serde_info=glue.CfnTable.SerdeInfoProperty(
                    serialization_library=_PARQUET_SERDE, parameters={"serialization.format": "1"}
                ),
            ),
            {"classification": "parquet", "parquet.compression": "ZSTD"},
        )

    def _delivered(self, table: Table, bucket: s3.IBucket, first_day: str) -> None:
        """Declare a table over JSON lines by hour of arrival, from ``first_day`` until now."""
        location = _location(table, bucket)
        self._table(
            table,
            glue.CfnTable.StorageDescriptorProperty(
                columns=_columns(table.columns),
                location=location,
                input_format=_TEXT_INPUT,
                output_format=_TEXT_OUTPUT,
                serde_info=glue.CfnTable.SerdeInfoProperty(
                    serialization_library=_JSON_SERDE,
                    # A malformed line is a row of nulls and not the end of the query. So is a blank one, of which the
                    # raw zone has many: Firehose adds a newline to records that end in one already.
                    parameters={"ignore.malformed.json": "true", "case.insensitive": "true"},
                ),
            ),
            {
                "classification": "json",
                "projection.enabled": "true",
                "projection.dt.type": "date",
                "projection.dt.format": "yyyy-MM-dd",
                "projection.dt.range": f"{first_day},NOW",
                "projection.dt.interval": "1",
                "projection.dt.interval.unit": "DAYS",
                "projection.hour.type": "integer",
                "projection.hour.range": "0,23",
                "projection.hour.digits": "2",
                "storage.location.template": f"{location}dt=${{dt}}/hour=${{hour}}",
            },
        )

    def _table(
        self, table: Table, storage: glue.CfnTable.StorageDescriptorProperty, parameters: dict[str, str]
    ) -> None:
        resource = glue.CfnTable(
            self,
            "".join(word.capitalize() for word in table.name.split("_")),
            catalog_id=Aws.ACCOUNT_ID,
            database_name=str(self.database.database_name),
            table_input=glue.CfnTable.TableInputProperty(
                name=table.name,
                description=table.comment,
                table_type="EXTERNAL_TABLE",
                partition_keys=_columns(table.partition_keys),
                parameters={"EXTERNAL": "TRUE", **parameters},
                storage_descriptor=storage,
            ),
        )
        resource.add_resource_dependency(self.database)


def _location(table: Table, bucket: s3.IBucket) -> str:
    """Return the URL of the folder of a table, which has the table's name."""
    return bucket.s3_url_for_object(f"{table.name}/")


def _columns(columns: Iterable[Column]) -> list[glue.CfnTable.ColumnProperty]:
    return [glue.CfnTable.ColumnProperty(name=c.name, type=c.type, comment=c.comment) for c in columns]
