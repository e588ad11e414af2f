"""Connecting to an MQTT broker: TLS, certificates, and why it refuses."""

from __future__ import annotations

import secrets
import ssl
from pathlib import Path
from typing import NamedTuple

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from simulator.sinks.mqtt_publisher import CONNECT_SECONDS, MqttSink, RefusedError
from simulator.sinks.sink import SinkError

_HTTPS_PORT = 443
#: What port 443 wants of clients with a certificate: https://docs.aws.amazon.com/iot/latest/developerguide/protocols.html
_ALPN = "x-amzn-mqtt-ca"
_KEEPALIVE = 30  # seconds; how long a connection that went dead goes unnoticed


class _Broker(NamedTuple):
    """A broker, how to talk to it, and the client's name there."""

    host: str
    port: int
    context: ssl.SSLContext | None
    client_id: str


def open_mqtt(
    host: str,
    prefix: str,
    *,
    port: int,
    tls: bool,
    certificate: Path | None = None,
    key: Path | None = None,
    ca: Path | None = None,
) -> MqttSink:
    """Return a sink that is connected to a broker, as :class:`~simulator.sinks.mqtt.MqttBroker` describes it.

    Raises:
        ValueError: a file of certificates is not what it should be.
        SinkError: the broker cannot be reached or refuses the connection.
    """
    context = _tls(certificate, key, ca) if tls else None
    if context and port == _HTTPS_PORT:
        context.set_alpn_protocols([_ALPN])
    # No two clients of a broker may have the same name.
    broker = _Broker(host, port, context, f"iot-simulate-{secrets.token_hex(4)}")
    try:
        return _connect(broker, prefix, MQTTProtocolVersion.MQTTv5)
    except RefusedError:
        # MQTT 5 says why a message is refused; brokers that do not know it end the connection, with a word or without.
        return _connect(broker, prefix, MQTTProtocolVersion.MQTTv311)


def _connect(broker: _Broker, prefix: str, version: MQTTProtocolVersion) -> MqttSink:
    where = f"the MQTT broker at {broker.host}:{broker.port}{'' if broker.context else ' (no TLS)'}"
    client = Client(CallbackAPIVersion.VERSION2, client_id=broker.client_id, protocol=version)
    client.connect_timeout = CONNECT_SECONDS
    client.reconnect_delay_set(1, 8)
    client.max_inflight_messages_set(0)  # the sink counts, by the broker's limit
    if broker.context:
        client.tls_set_context(broker.context)
    sink = MqttSink(client, prefix, where=where)
    try:
        client.connect(broker.host, broker.port, keepalive=_KEEPALIVE)
    except ssl.SSLCertVerificationError as error:
        raise SinkError(
            f"{where} is not to be trusted: {error.verify_message}; check the host and ca in --sink"
        ) from error
    except ssl.SSLError as error:
        raise SinkError(
            f"{where} does not agree on TLS: {error.reason}; check the port, cert and key in --sink"
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise SinkError(f"{where} cannot be reached: {reason}; check the host and port in --sink") from error
    client.loop_start()
    try:
        refusal = sink.wait_until_connected()
    except BaseException:
        sink.close()
        raise
    if refusal:
        sink.close()
        raise RefusedError(f"{where} refuses the connection: {refusal}; check cert in --sink and what it may do")
    return sink


def _tls(certificate: Path | None, key: Path | None, ca: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"{ca} holds no certificates to trust, in PEM: {error.strerror or error}") from error
    if certificate:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:
            raise ValueError(
                f"{certificate} and {key} are not a certificate and its private key, in PEM: {error.strerror or error}"
            ) from error
    return context
