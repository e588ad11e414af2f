"""The table of devices as the file it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from telemetry.registry.devices import DeviceRow
from telemetry.tables.curated import DEVICES

_TYPES = {"string": pa.string(), "double": pa.float64(), "date": pa.date32()}

#: The columns of a :class:`~telemetry.registry.devices.DeviceRow`.
REGISTRY = pa.schema([(column.name, _TYPES[column.type]) for column in DEVICES.columns])


def write_devices(folder: Path, registry: Sequence[DeviceRow]) -> Path:
    """The table of devices as a Parquet file in ``folder``."""
    path = folder / f"{DEVICES.name}.parquet"
    columns = [pa.array(column, field.type) for column, field in zip(zip(*registry), REGISTRY)]
    pq.write_table(pa.Table.from_arrays(columns, schema=REGISTRY), path, compression="zstd")
    return path
