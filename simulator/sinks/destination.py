"""Interface of a kind of sink: read its URL, open the sink.

A kind of sink is one module with a :class:`Destination` and a line in ``simulator.sinks.schemes``. The module is
imported for ``--help`` too, so ``open`` imports a client library that takes long to load.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import ClassVar, Protocol
from urllib.parse import parse_qsl, unquote

from simulator.sinks.record import OUTBOX_BYTES
from simulator.sinks.sink import Sink

#: (number, of how many): which part of a run that several processes share.
Part = tuple[int, int]


class Deployed(Protocol):
    """The names in a deployment that a URL without a name stands for."""

    @property
    def ingest(self) -> str:
        """``kinesis`` for a stream, ``msk`` for a topic."""

    @property
    def stream_name(self) -> str:
        """The Kinesis stream of readings."""

    @property
    def topic_name(self) -> str:
        """The Kafka topic of readings."""

    @property
    def kafka_cluster_arn(self) -> str:
        """The topic's cluster in Amazon MSK; empty on an emulator."""

    @property
    def kafka_bootstrap(self) -> str:
        """The topic's broker next to an emulator, ``HOST:PORT``."""

    @property
    def raw_bucket_name(self) -> str:
        """The bucket of the raw zone."""


class SinkUrl:
    """The parts of a sink's URL. They may hold a secret: errors quote no more of them than is needed."""

    def __init__(self, text: str) -> None:
        self.scheme, _, self.rest = text.partition(":")
        address, _, self._query = self.rest.partition("?")
        self._rooted = not address or address.startswith("//")
        self._authority, _, self._path = address.removeprefix("//").partition("/")

    @property
    def authority(self) -> str:
        """The hosts, or the name: what is between ``//`` and the next ``/``. Raises ValueError."""
        if not self._rooted:
            raise ValueError("'//' is missing after the colon")
        if "@" in self._authority:
            raise ValueError("a user or a password cannot be part of the URL")
        return self._authority

    @property
    def path(self) -> str:
        """The path after the authority, without slashes at its end."""
        return unquote(self._path).rstrip("/")

    def parameters(self, *known: str) -> dict[str, str]:
        """Return the parameters after ``?``. Raises ValueError for one that is not known or has no value."""
        found = dict(parse_qsl(self._query, keep_blank_values=True))
        for name, value in found.items():
            if name not in known:
                raise ValueError(f"unknown parameter {name!r}")
            if not value:
                raise ValueError(f"the parameter {name!r} has no value")
        return found

    def name(self) -> str:
        """Return the name that is all of the URL, such as ``kinesis://STREAM``; empty for none. Raises ValueError."""
        self.parameters()
        if self.path:
            raise ValueError("a name cannot have a slash")
        return self.authority


class Destination(abc.ABC):
    """Where records go, as a URL says it: plain values that can be handed to another process and opened there."""

    #: The schemes of its URLs, what to write, and what it is: one line each, for ``--help`` and errors.
    schemes: ClassVar[tuple[str, ...]]
    usage: ClassVar[str]
    help: ClassVar[str]

    #: The package that it needs and that is not always installed; empty for none.
    package: ClassVar[str] = ""

    #: How many bytes of records the sink should be handed at once.
    outbox_bytes: ClassVar[int] = OUTBOX_BYTES

    @property
    def in_aws(self) -> bool:
        """Whether it is in the AWS account that the command line chose."""
        return False

    @classmethod
    @abc.abstractmethod
    def from_url(cls, url: SinkUrl) -> Destination:
        """Read the URL. Raises ValueError with what is wrong; the caller adds what to write."""

    @abc.abstractmethod
    def open(self, part: Part = (0, 1)) -> AbstractContextManager[Sink]:
        """Open the sink, until the end of the ``with`` block.

        Raises :class:`~simulator.sinks.sink.SinkError`, OSError, or ValueError for settings that do not fit together.
        """

    def completed(self, _find: Callable[[], Deployed]) -> Destination:
        """Return the same with the deployment's name where the URL has none.

        Raises ValueError where the deployment has nothing of the kind, with what to write.
        """
        return self
