"""A run's lines in the curated tables, counted by device."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from evaluation.raw_lines import DEVICE_ID, NOT_READABLE
from pipeline.athena import query
from pipeline.rows import structs
from telemetry.tables.curated import QUARANTINE, READINGS

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment


class CuratedCounts(NamedTuple):
    """One device's lines in the curated tables."""

    curated: int = 0
    duplicates: int = 0
    quarantined: int = 0


class _Curated(msgspec.Struct):
    device_id: str
    curated: int
    duplicates: int


class _Quarantined(msgspec.Struct):
    readable: bool
    lines: int
    device_id: str = NOT_READABLE


def count_curated_lines(
    session: boto3.Session, deployment: Deployment, where: str, devices: Collection[str]
) -> dict[str, CuratedCounts]:
    """Count by device the lines for which ``where`` holds.

    Quarantined lines count if they are of these devices or, under :data:`NOT_READABLE`, of no device that can be read.
    """
    curated = (
        "SELECT device_id, count(*) AS curated, CAST(sum(copies - 1) AS bigint) AS duplicates "  # noqa: S608
        f"FROM {READINGS.name} WHERE {where} GROUP BY device_id"
    )
    quarantined = (
        "SELECT device_id, readable, count(*) AS lines FROM ("  # noqa: S608
        f"SELECT regexp_extract(line, '{DEVICE_ID}', 1) AS device_id, "
        "reason IN ('conflict', 'from_future', 'too_late') AS readable "
        f"FROM {QUARANTINE.name} WHERE {where}"
        ") GROUP BY device_id, readable"
    )
    found = {
        row.device_id: CuratedCounts(row.curated, row.duplicates)
        for row in structs(query(session, deployment, curated), _Curated)
    }
    for row in structs(query(session, deployment, quarantined), _Quarantined):
        if row.device_id in devices or not row.readable:
            device = row.device_id if row.device_id in devices else NOT_READABLE
            before = found.get(device, CuratedCounts())
            found[device] = before._replace(quarantined=before.quarantined + row.lines)
    return found
