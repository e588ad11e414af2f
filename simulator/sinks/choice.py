"""Which sink a run has, as plain values that can be handed to another process, and opening it there."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from pathlib import Path

import boto3
import msgspec

from simulator.sinks.batches import OUTBOX_BYTES
from simulator.sinks.firehose import FirehoseSink
from simulator.sinks.kinesis import KinesisSink
from simulator.sinks.raw_zone import RawZoneSink
from simulator.sinks.sink import LineSink, Sink, open_lines, standard_output


class SinkName(enum.StrEnum):
    """Where the lines go."""

    stdout = enum.auto()
    file = enum.auto()
    kinesis = enum.auto()
    firehose = enum.auto()
    kafka = enum.auto()
    mqtt = enum.auto()
    raw_zone = "raw-zone"


class SinkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A sink and what it needs; the names are those of the options."""

    name: SinkName = SinkName.stdout
    path: Path | None = None
    stream: str = ""
    delivery_stream: str = ""
    bucket: str = ""
    brokers: str = ""
    topic: str = ""
    msk_iam: bool = False
    host: str = ""
    port: int | None = None
    topic_prefix: str = ""
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    @property
    def outbox_bytes(self) -> int:
        """How much the sink should be handed at once: of the raw zone, an object is made of it."""
        return 16 * OUTBOX_BYTES if self.name is SinkName.raw_zone else OUTBOX_BYTES

    def checked(self) -> SinkChoice:
        """The same; raises ValueError for options that are missing, or are for another sink."""
        given = {field for field in self.__struct_fields__ if getattr(self, field) not in (None, "", False)} - {"name"}
        needed, allowed = _OPTIONS[self.name]
        for field in sorted(needed - given):
            raise ValueError(f"--sink {self.name} needs {_option(field)}")
        for field in sorted(given - needed - allowed):
            owner = next(sink for sink, (needs, takes) in _OPTIONS.items() if field in needs | takes)
            raise ValueError(f"{_option(field)} is for --sink {owner}")
        return self


#: What each sink needs, and what it takes besides.
_OPTIONS: dict[SinkName, tuple[set[str], set[str]]] = {
    SinkName.stdout: (set(), set()),
    SinkName.file: ({"path"}, set()),
    SinkName.kinesis: ({"stream"}, set()),
    SinkName.firehose: ({"delivery_stream"}, set()),
    SinkName.kafka: ({"brokers", "topic"}, {"msk_iam"}),
    SinkName.mqtt: ({"host", "topic_prefix"}, {"port", "certificate", "key", "ca"}),
    SinkName.raw_zone: ({"bucket"}, set()),
}


def _option(field: str) -> str:
    return "--" + field.replace("_", "-")


@contextlib.contextmanager
def open_sink(choice: SinkChoice, part: tuple[int, int] = (0, 1)) -> Iterator[Sink]:
    """The sink, until the end of the ``with`` block; files of several parts have the part's number in their names.

    Raises :class:`~simulator.sinks.sink.SinkError`, OSError, or ValueError for settings that do not fit together.
    """
    match choice.name:
        case SinkName.stdout:
            yield LineSink(standard_output())
        case SinkName.file:
            assert choice.path  # noqa: S101 - it was checked
            with open_lines(_of_part(choice.path, part)) as out:
                yield LineSink(out)
        case SinkName.kinesis:
            yield KinesisSink(boto3.client("kinesis"), choice.stream)
        case SinkName.firehose:
            yield FirehoseSink(boto3.client("firehose"), choice.delivery_stream)
        case SinkName.raw_zone:
            with RawZoneSink(boto3.client("s3"), choice.bucket) as raw_zone:
                yield raw_zone
        case SinkName.kafka:
            from simulator.sinks.kafka import open_kafka  # noqa: PLC0415 - librdkafka is only loaded where it is needed

            with open_kafka(choice.brokers, choice.topic, msk_iam=choice.msk_iam) as kafka:
                yield kafka
        case SinkName.mqtt:
            from simulator.sinks.mqtt import open_mqtt  # noqa: PLC0415 - as above

            with open_mqtt(
                choice.host,
                choice.topic_prefix,
                port=choice.port,
                certificate=choice.certificate,
                key=choice.key,
                ca=choice.ca,
            ) as mqtt:
                yield mqtt


def _of_part(path: Path, part: tuple[int, int]) -> Path:
    number, parts = part
    if parts == 1:
        return path
    name, dot, rest = path.name.partition(".")
    return path.with_name(f"{name}-{number + 1}{dot}{rest}")
