"""Does it add up? Every line that a run sent must be in the raw zone, and from there in a table or in quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from evaluation.curated_lines import CuratedCounts, count_curated_lines
from evaluation.raw_lines import NOT_READABLE, Lateness, OnProgress, RawCounts, read_raw_lines
from simulator.run.manifest import DeviceCounts, Manifest

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Lines by what became of them, stage by stage.

    ``sent`` were accepted by the sink, ``refused`` were not. ``raw`` are in the raw zone; ``redelivered`` of them came
    there more often than they were sent, which at-least-once delivery may do, and ``surplus_in_delivery`` were never
    sent. ``lost_in_delivery`` are in no raw object. ``unreadable`` were sent damaged, so that no device can be read of
    them, and stand under :data:`NOT_READABLE`.

    ``curated`` are readings in the table, each once; ``duplicates`` the copies of them that were removed;
    ``quarantined`` are kept with a reason. ``lost_in_curation`` are in the raw zone and in none of the three,
    ``surplus_in_curation`` are in one of the three and not in the raw zone.

    ``reordered`` are readings that arrived after one of the device with a higher ``seq``, of several copies the first.
    What came in different objects that were complete at the same time is taken to be in order. ``lateness`` is None
    where no reading arrived, and of a run that was not in real time.

    So ``sent + redelivered + surplus_in_delivery = raw + lost_in_delivery (+ unreadable, of one device)``, and
    ``raw + surplus_in_curation = curated + duplicates + quarantined + lost_in_curation``.
    """

    sent: int = 0
    refused: int = 0
    unreadable: int = 0
    raw: int = 0
    redelivered: int = 0
    surplus_in_delivery: int = 0
    lost_in_delivery: int = 0
    curated: int = 0
    duplicates: int = 0
    quarantined: int = 0
    surplus_in_curation: int = 0
    lost_in_curation: int = 0
    reordered: int = 0
    lateness: Lateness | None = None

    @property
    def lost(self) -> int:
        """Lines that were accepted, and are gone."""
        return self.lost_in_delivery + self.lost_in_curation

    @property
    def surplus(self) -> int:
        """Lines that come from nowhere."""
        return self.surplus_in_delivery + self.surplus_in_curation


class DeviceRow(Counts, frozen=True, kw_only=True):
    """The counts of one device; of :data:`NOT_READABLE`, ``sent`` are the ``unreadable`` of all the others."""

    device: str


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """A run's lines: in all, and by device in the order of their ids.

    ``foreign`` lines of the same hours are of devices that the run does not have, or are unreadable and more than it
    can have sent: somebody else's, and no failure. ``real_time`` is whether lateness means anything.
    """

    totals: Counts
    devices: list[DeviceRow]
    foreign: int
    real_time: bool

    @property
    def lost(self) -> int:
        """Lines that were accepted by the sink, and are gone."""
        return self.totals.lost

    @property
    def adds_up(self) -> bool:
        """Whether no line of any device is lost, and none comes from nowhere.

        What the sink refused was never accepted, what is delivered again is removed: both are counted, and no loss.
        """
        return not self.totals.lost and not self.totals.surplus

    def worst(self, most: int) -> list[DeviceRow]:
        """Return the devices that lost most; then those with most duplicates and quarantined lines."""

        def badness(row: DeviceRow) -> tuple[int, int, int, str]:
            return -row.lost, -row.surplus, -row.duplicates - row.quarantined, row.device

        return sorted(self.devices, key=badness)[:most]


def audit(
    session: boto3.Session,
    deployment: Deployment,
    manifest: Manifest,
    *,
    on_progress: OnProgress = lambda _done, _of: None,
) -> Audit:
    """Compare what a run sent with what the lake has of it, device by device.

    The lines are those of the manifest's devices in all raw objects that may hold something that arrived between
    ``arrived_from`` and ``arrived_to``, by the hour: in these hours, the same devices may not have sent anything else
    afterwards. Raises :class:`PipelineError`.

    In the raw zone, a line is known by its bytes. Of a device with ``sent`` lines, ``duplicates`` of them copies, there
    must be ``sent - duplicates`` different lines (fewer are lost, more are surplus) and ``duplicates`` copies of
    readings (fewer are lost, more are redelivered). So one line that came twice does not make up for another that
    did not come at all. Only a copy that was sent and is lost is not missed if a copy was delivered again.

    A damaged line may not say whose it is. A device's missing lines are taken to be among those of which no device can
    be read as long as it sent so many damaged ones that are not found under its id, and there are so many. What all
    devices have in that way must be there in all.
    """
    raw = read_raw_lines(session, deployment.raw_bucket_name, manifest, on_progress)
    tables = count_curated_lines(session, deployment, raw.where, manifest.by_device)
    rows = [
        _row(device, sent, raw.by_device.get(device, RawCounts()), tables.get(device, CuratedCounts()), raw.unreadable)
        for device, sent in sorted(manifest.by_device.items())
    ]
    damaged = _row_not_readable(
        sum(row.unreadable for row in rows), raw.unreadable, tables.get(NOT_READABLE, CuratedCounts()).quarantined
    )
    return Audit(
        totals=_totals([*rows, damaged], raw.lateness.get(None)),
        devices=[
            *([damaged] if damaged.sent else []),
            *(msgspec.structs.replace(row, lateness=raw.lateness.get(row.device)) for row in rows),
        ],
        foreign=raw.foreign + raw.unreadable - damaged.raw,
        real_time=manifest.speed == 1,
    )


def _row(device: str, sent: DeviceCounts, raw: RawCounts, tables: CuratedCounts, unreadable: int) -> DeviceRow:
    """Account for one device, where ``unreadable`` lines of any device are there."""
    missing = sent.sent - sent.duplicates - raw.different_readings - raw.different_damaged
    # Damaged lines may be the same: what is missing of them is no redelivery.
    alike = max(0, min(missing, raw.damaged - raw.different_damaged, sent.malformed - raw.different_damaged))
    missing -= alike
    taken = max(0, min(missing, sent.malformed - raw.different_damaged - alike, unreadable))
    copies = raw.readings - raw.different_readings
    # A copy whose first was refused by the sink is the first.
    first = max(0, min(-missing, sent.duplicates - copies, sent.refused))
    accounted = raw.readings + raw.damaged - sum(tables)
    return DeviceRow(
        device=device,
        sent=sent.sent,
        refused=sent.refused,
        unreadable=taken,
        raw=raw.readings + raw.damaged,
        redelivered=max(0, copies - sent.duplicates) + raw.damaged - raw.different_damaged - alike,
        surplus_in_delivery=max(0, -missing) - first,
        lost_in_delivery=max(0, missing) - taken + max(0, sent.duplicates - copies) - first,
        curated=tables.curated,
        duplicates=tables.duplicates,
        quarantined=tables.quarantined,
        surplus_in_curation=max(0, -accounted),
        lost_in_curation=max(0, accounted),
        reordered=raw.reordered,
    )


def _row_not_readable(sent: int, raw: int, quarantined: int) -> DeviceRow:
    """Account for the lines that were sent and of which no device can be read; more of them are somebody else's."""
    ours = min(sent, raw)
    lost = min(ours, max(0, raw - quarantined))
    return DeviceRow(
        device=NOT_READABLE,
        sent=sent,
        raw=ours,
        lost_in_delivery=sent - ours,
        quarantined=ours - lost,
        lost_in_curation=lost,
    )


def _totals(rows: Sequence[DeviceRow], lateness: Lateness | None) -> Counts:
    names = [name for name in Counts.__struct_fields__ if name != "lateness"]
    sums = {name: sum(getattr(row, name) for row in rows) for name in names}
    # What is not readable was sent by a device.
    return Counts(**sums | {"sent": sums["sent"] - sums["unreadable"]}, lateness=lateness)
