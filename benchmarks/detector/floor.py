"""The floor: the payloads decoded into readings, and nothing done with them."""

from __future__ import annotations

import base64

import msgspec

from benchmarks.detector.contenders import Contender, Event
from telemetry.reading.model import Reading

_decoder = msgspec.json.Decoder(Reading)


def decoded() -> Contender:
    """Base64 by the standard library, lines by msgspec."""
    return Contender(_decode)


def _decode(event: Event) -> None:
    for record in event["Records"]:
        _decoder.decode_lines(base64.b64decode(record["kinesis"]["data"]))
