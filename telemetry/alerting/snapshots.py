"""The stored form of soft state: a snapshot of what the devices of a home said recently, and its encoding."""

from __future__ import annotations

import zlib

import msgspec

from telemetry.alerting.windows import PARTS, merge_parts, round_parts
from telemetry.rules.functions import Part

#: DynamoDB's limit for an item is 400 KB, names and numbers of the item included.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Limits.html
_MAX_BYTES = 390_000


class Device(msgspec.Struct, array_like=True):
    """A device: its site, the arrival of its last line, its newest reading (``newest``, ``seq``), its parts by window.

    Times are in Unix seconds; ``newest`` is an event time, 0 before the first reading. ``via`` is the gateway through
    which it was last heard; empty for the home's own.
    """

    site: str
    seen: float
    newest: float
    windows: dict[str, list[Part]] = {}
    seq: int = -1
    via: str = ""


class Lag(msgspec.Struct, array_like=True, frozen=True):
    """Lag of the detector behind a gateway's records, in seconds, at the arrival of the newest (Unix seconds)."""

    arrived: float
    seconds: float


class Snapshot(msgspec.Struct, array_like=True):
    """The devices of a home, and the arrival (Unix seconds) and site of the newest record of its own gateway.

    ``homes`` is how many homes the gateway has, known in its first one; 0 in snapshots of versions without homes.
    ``lags`` are by the gateway heard through; empty for the home's own.
    """

    arrived: float = 0.0
    site: str = ""
    devices: dict[str, Device] = {}
    homes: int = 0
    lags: dict[str, Lag] = {}


class Encoded(msgspec.Struct, frozen=True):
    """A snapshot as it is stored; ``complete`` is False if the windows did not fit and were left out."""

    data: bytes
    complete: bool


def encode(snapshot: Snapshot) -> Encoded:
    """Write compressed JSON, without the windows where the devices do not fit into an item with them."""
    data = _encoded(snapshot, windows=True)
    if len(data) <= _MAX_BYTES:
        return Encoded(data, complete=True)
    return Encoded(_encoded(snapshot, windows=False), complete=False)


def _encoded(snapshot: Snapshot, *, windows: bool) -> bytes:
    devices = {name: _rounded(device, windows=windows) for name, device in snapshot.devices.items()}
    return zlib.compress(msgspec.json.encode(msgspec.structs.replace(snapshot, devices=devices)))


_decoder = msgspec.json.Decoder(Snapshot)


def decode(data: bytes) -> Snapshot:
    """Read what :func:`encode` wrote."""
    return _decoder.decode(zlib.decompress(data))


def _rounded(device: Device, *, windows: bool) -> Device:
    parts = {key: round_parts(each) for key, each in device.windows.items()} if windows else {}
    return msgspec.structs.replace(device, windows=parts)


def merge_devices(written: Device, own: Device) -> Device:
    """Return what two environments know of a device; ``own`` brings what its one saw since its last snapshot."""
    newer = written if own.newest <= written.newest and own.seq <= written.seq else own
    last = own if own.seen >= written.seen else written
    windows = _merged_windows(written.windows, own.windows, newer.newest) if written.windows or own.windows else {}
    return Device(newer.site or written.site, last.seen, newer.newest, windows, newer.seq, last.via)


def _merged_windows(written: dict[str, list[Part]], own: dict[str, list[Part]], newest: float) -> dict[str, list[Part]]:
    merged = {key: merge_parts(parts, own.get(key, ())) for key, parts in written.items()}
    merged |= {key: parts for key, parts in own.items() if key not in merged}
    return {key: _not_after(newest, key, parts) for key, parts in merged.items()}


def _not_after(newest: float, key: str, parts: list[Part]) -> list[Part]:
    """Drop the parts after a device's newest reading: its clock was set back."""
    last = int(newest // (int(key.rpartition("/")[2]) / PARTS))
    return parts if not parts or parts[-1].index <= last else [part for part in parts if part.index <= last]
