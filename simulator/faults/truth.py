"""Ground truth: the faults that were injected, where, from when to when, and the rules that should fire for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

import msgspec


class InjectedFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault of the scenario at one device, gateway or site.

    ``since`` and ``until`` are when it was injected (event times, UTC). ``device`` is empty for what affects a whole
    gateway, and ``gateway`` too for a whole site. ``number`` counts the scenario's faults from 1. ``expects`` are the
    rules that should fire for it, ``tolerates`` those that may; every other alert in it is false. ``metric`` is empty
    if it changes none; ``details`` are the fault's parameters as the scenario has them.
    """

    id: str
    number: int
    kind: str
    site: str
    gateway: str
    device: str
    metric: str
    since: dt.datetime = msgspec.field(name="from")
    until: dt.datetime = msgspec.field(name="to")
    expects: tuple[str, ...] = ()
    tolerates: tuple[str, ...] = ()
    details: dict[str, str | float | int | bool] = {}


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(InjectedFault)


def encode_injected_faults(faults: Iterable[InjectedFault]) -> bytes:
    """Return the faults as JSON lines, each ended by ``\\n``."""
    return _encoder.encode_lines(faults)


def decode_injected_faults(data: bytes) -> list[InjectedFault]:
    """Return the faults of JSON lines; of those with the same id the last. Raises :class:`msgspec.DecodeError`."""
    return list({fault.id: fault for fault in _decoder.decode_lines(data)}.values())


def truth_path(manifest: Path) -> Path:
    """Return the path of the ground truth next to a run's manifest."""
    return manifest.with_name(f"{manifest.name.removesuffix('.json')}.truth.jsonl")
