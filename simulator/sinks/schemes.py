"""The kinds of sinks by the scheme of their URLs. To add one, write a module like its neighbours and list it here."""

from __future__ import annotations

from simulator.sinks.destination import Destination, SinkUrl
from simulator.sinks.firehose import DeliveryStream
from simulator.sinks.kafka import KafkaTopic
from simulator.sinks.kinesis import KinesisStream
from simulator.sinks.lines import LinesFile, StandardOutput
from simulator.sinks.mqtt import MqttBroker
from simulator.sinks.raw_zone import RawZone

KINDS: tuple[type[Destination], ...] = (
    StandardOutput,
    LinesFile,
    KinesisStream,
    DeliveryStream,
    KafkaTopic,
    MqttBroker,
    RawZone,
)

SCHEMES: dict[str, type[Destination]] = {scheme: kind for kind in KINDS for scheme in kind.schemes}


def parse_sink(text: str) -> Destination:
    """Read a sink's URL. Raises ValueError: one line with what is wrong, and what to write."""
    url = SinkUrl(text)
    kind = SCHEMES.get(url.scheme)
    if kind is None:
        raise ValueError(f"--sink: unknown sink {url.scheme!r}; write {', '.join(kind.usage for kind in KINDS)}")
    try:
        return kind.from_url(url)
    except ValueError as error:
        raise ValueError(f"--sink {url.scheme}: {error}; write {kind.usage}") from None
