"""The table of devices as a Parquet file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from glue_jobs.curate.zones.columns import arrow_schema
from telemetry.registry.devices import DeviceRow
from telemetry.tables.curated import DEVICES

#: The columns of a :class:`~telemetry.registry.devices.DeviceRow`.
REGISTRY = arrow_schema(DEVICES.columns)


def write_devices(folder: Path, registry: Sequence[DeviceRow]) -> Path:
    """Write the table of devices as a Parquet file into ``folder``; return its path."""
    path = folder / f"{DEVICES.name}.parquet"
    columns = [pa.array(column, field.type) for column, field in zip(zip(*registry), REGISTRY)]
    pq.write_table(pa.Table.from_arrays(columns, schema=REGISTRY), path, compression="zstd")
    return path
