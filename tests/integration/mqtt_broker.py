"""A real MQTT broker (aMQTT, MQTT 3.1.1) as a process on the loopback interface, with TLS for those it knows.

Run as a program, it is the process.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trustme
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig

from local.emulator import ROOT, free_port
from tests.waiting import wait_for

HOST = "127.0.0.1"


class Certificates:
    """An authority of the test's own, the broker's certificate and a client's, as files."""

    def __init__(self, home: Path) -> None:
        authority = trustme.CA()
        self.ca = home / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        self.broker, self.broker_key = _write(authority.issue_cert(HOST, "localhost"), home, "broker")
        self.client, self.client_key = _write(authority.issue_cert("simulator@example.com"), home, "client")


class MqttBroker:
    """The broker's process, which can be killed and started again on its port."""

    def __init__(self, home: Path, certificates: Certificates | None) -> None:
        self.port = free_port()
        self.log = home / "mqtt.log"
        self._settings = home / "mqtt.json"
        listener: dict[str, Any] = {"bind": f"{HOST}:{self.port}"}
        if certificates:
            listener |= {
                "ssl": True,
                "cafile": str(certificates.ca),
                "certfile": str(certificates.broker),
                "keyfile": str(certificates.broker_key),
            }
        self._settings.write_text(json.dumps(listener))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.mqtt_broker", self._settings],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(self._listens, f"the broker's start (see {self.log})")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the broker ended while starting: see {self.log}"
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True


def _strict(context: Callable[[ListenerConfig], ssl.SSLContext]) -> Callable[[ListenerConfig], ssl.SSLContext]:
    """Accept only clients with a certificate, as AWS IoT Core does; aMQTT itself leaves them the choice."""

    def strict(listener: ListenerConfig) -> ssl.SSLContext:
        made = context(listener)
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    return strict


async def _run(listener: dict[str, Any]) -> None:
    Broker._create_ssl_context = staticmethod(_strict(Broker._create_ssl_context))
    config = BrokerConfig(
        listeners={"default": ListenerConfig(**listener)},
        plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    )
    await Broker(config).start()
    await asyncio.Event().wait()


def _write(certificate: trustme.LeafCert, home: Path, name: str) -> tuple[Path, Path]:
    files = home / f"{name}.pem", home / f"{name}.key"
    certificate.cert_chain_pems[0].write_to_path(str(files[0]))
    certificate.private_key_pem.write_to_path(str(files[1]))
    return files


if __name__ == "__main__":
    asyncio.run(_run(json.loads(Path(sys.argv[1]).read_text())))
