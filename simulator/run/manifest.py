"""The manifest of a run: what was sent, when, and by which device."""

from __future__ import annotations

import datetime as dt

import msgspec


class DeviceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a device by outcome: ``sent`` were accepted by the sink, ``refused`` were given up.

    Of those sent, ``duplicates`` are readings sent before, ``malformed`` are not readings, ``late`` were held back and
    ``reordered`` were overtaken by a younger reading of the device, both by the faults of the scenario.
    """

    sent: int = 0
    duplicates: int = 0
    malformed: int = 0
    late: int = 0
    reordered: int = 0
    refused: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Counts are in lines, but ``retried`` in records; times are UTC.

    ``started_at`` and ``ended_at`` bound the simulated time; no device's clock that is right says anything else.
    ``arrived_from`` and ``arrived_to`` bound what was sent by the clock of whoever receives it: of a run in real time
    the same, of a faster one (``speed`` simulated seconds a second; 0: as fast as it goes) when it was really sent.
    ``sent``, ``duplicates``, ``malformed``, ``late``, ``reordered`` and ``refused`` are the sums of ``by_device``;
    ``refusal`` is the last reason why something was given up.
    """

    scenario: str
    seed: int
    devices: int
    gateways: int
    speed: float
    started_at: dt.datetime
    ended_at: dt.datetime
    arrived_from: dt.datetime
    arrived_to: dt.datetime
    sent: int
    duplicates: int
    malformed: int
    late: int
    reordered: int
    refused: int
    retried: int
    refusal: str
    by_device: dict[str, DeviceCounts]


def encode_manifest(sent: Manifest) -> bytes:
    """Return the manifest as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(sent), indent=2) + b"\n"
