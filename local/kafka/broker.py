"""A real Apache Kafka broker (KRaft, one node) on the loopback interface, run from Maven Central's jars."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from local.emulator import ROOT

JARS = ROOT / "build" / "kafka" / "jars"

HOST = "127.0.0.1"

_CLUSTER = "4L6g3nShT-eMCtK--X86sw"  # any UUID in base64

# Small and quick to start: one machine sends little through it.
_JAVA = ("java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JARS}/*")


class Listener(NamedTuple):
    """The port that the broker listens on, and the port that it advertises to its clients."""

    port: int
    advertised: int


def missing() -> str:
    """Return why no broker can run here, for a person; empty if one can."""
    if shutil.which("java") is None:
        return "no Java"
    if not (JARS.parent / ".installed").exists():
        return "no Kafka in build/kafka: make kafka fetches it where there is Maven"
    return ""


class Broker:
    """The broker of a folder; it creates no topics by itself.

    ``listeners`` are by name; the controller listens on ``controller``.
    """

    def __init__(self, home: Path, controller: int, listeners: Mapping[str, Listener]) -> None:
        self._home = home
        self._controller = controller
        self._listeners = listeners

    @property
    def address(self) -> str:
        """Where clients connect: the first listener."""
        return f"{HOST}:{next(iter(self._listeners.values())).port}"

    @property
    def log(self) -> Path:
        """The log file."""
        return self._home / "kafka.log"

    def format(self) -> None:
        """Write the settings, and format empty storage; raises CalledProcessError."""
        shutil.rmtree(self._home / "data", ignore_errors=True)
        self._home.mkdir(parents=True, exist_ok=True)
        (self._home / "server.properties").write_text(
            f"""
            process.roles=broker,controller
            node.id=1
            controller.quorum.bootstrap.servers={HOST}:{self._controller}
            controller.listener.names=CONTROLLER
            inter.broker.listener.name={next(iter(self._listeners))}
            listener.security.protocol.map={",".join(f"{name}:PLAINTEXT" for name in [*self._listeners, "CONTROLLER"])}
            listeners={self._addresses("port")},CONTROLLER://{HOST}:{self._controller}
            advertised.listeners={self._addresses("advertised")}
            log.dirs={self._home / "data"}
            auto.create.topics.enable=false
            broker.heartbeat.interval.ms=100
            broker.session.timeout.ms=5000
            group.initial.rebalance.delay.ms=0
            offsets.topic.num.partitions=1
            offsets.topic.replication.factor=1
            transaction.state.log.replication.factor=1
            transaction.state.log.min.isr=1
            """
        )
        arguments = ("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", "server.properties", "--standalone")
        process = self._java(arguments)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, arguments)

    def start(self, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        """Start the broker's process, which inherits ``pass_fds``."""
        return self._java(("kafka.Kafka", "server.properties"), pass_fds)

    def _addresses(self, which: str) -> str:
        return ",".join(f"{name}://{HOST}:{getattr(each, which)}" for name, each in self._listeners.items())

    def _java(self, arguments: Sequence[str], pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*_JAVA, *arguments],
                cwd=self._home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
            )
