"""The sink that publishes over MQTT, to AWS IoT Core or any other broker: its URL."""

from __future__ import annotations

import ipaddress
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from simulator.sinks.destination import Destination, Part, SinkUrl
from simulator.sinks.mqtt_messages import is_valid_topic
from simulator.sinks.sink import Sink

_PORT, _PLAIN_PORT = 8883, 1883


@dataclass(frozen=True, kw_only=True)
class MqttBroker(Destination):
    """A broker, and how to talk to it; gateways publish to ``prefix/GATEWAY``.

    ``host`` is for AWS IoT Core the account's data endpoint (``aws iot describe-endpoint --endpoint-type
    iot:Data-ATS``), ``prefix`` something like ``readings`` or ``$aws/rules/RULE``. ``certificate`` and ``key`` are the
    client's, PEM; IoT Core requires them. ``ca`` is whom to trust, PEM; by default those that the system trusts.
    """

    host: str
    prefix: str
    port: int
    tls: bool = True
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    schemes: ClassVar = ("mqtts", "mqtt")
    package: ClassVar = "paho"
    usage: ClassVar = "mqtts://HOST/PREFIX?cert=FILE&key=FILE"
    help: ClassVar = (
        "MQTT, to PREFIX/GATEWAY: AWS IoT Core or another broker, whose authority is in '&ca=FILE'. "
        "'mqtt://localhost/PREFIX' is without TLS."
    )

    @classmethod
    def from_url(cls, url: SinkUrl) -> MqttBroker:
        """Read the URL."""
        address = urlsplit(f"//{url.authority}")
        host = address.hostname or ""
        if not host:
            raise ValueError("the broker is missing")
        if not is_valid_topic(url.path):
            raise ValueError(f"invalid topic prefix {url.path!r}, such as readings, without + and #")
        files = {name: Path(value) for name, value in url.parameters("cert", "key", "ca").items()}
        if ("cert" in files) != ("key" in files):
            raise ValueError("a client certificate and its private key go together, give cert and key")
        tls = url.scheme == "mqtts"
        if not tls and files:
            raise ValueError("certificates are for TLS, which is mqtts://")
        if not tls and not _is_loopback(host):
            raise ValueError("MQTT without TLS is for brokers on this machine only")
        if "cert" not in files and host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
            raise ValueError("AWS IoT Core requires a client certificate")
        return cls(
            host=host,
            prefix=url.path,
            port=address.port or (_PORT if tls else _PLAIN_PORT),
            tls=tls,
            certificate=files.get("cert"),
            key=files.get("key"),
            ca=files.get("ca"),
        )

    def open(self, _part: Part = (0, 1)) -> AbstractContextManager[Sink]:
        """Connect to the broker."""
        from simulator.sinks.mqtt_connection import open_mqtt  # noqa: PLC0415 - loads paho

        return open_mqtt(
            self.host,
            self.prefix,
            port=self.port,
            tls=self.tls,
            certificate=self.certificate,
            key=self.key,
            ca=self.ca,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
