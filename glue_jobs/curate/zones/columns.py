"""The columns of the tables as Arrow has them."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from telemetry.tables.table import Column

#: By Athena's names. Times are in UTC and have no time zone, as they stand in the tables.
ARROW_TYPES = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the columns as a schema of Arrow's."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])
