"""The safety rule of every local command: talk to the loopback interface, with dummy credentials."""

import ipaddress
import os
import socket
from urllib.parse import urlsplit

import boto3

ACCOUNT = "000000000000"
REGION = "us-east-1"

#: What an emulator takes for credentials, and what reads no file of the user's that could say otherwise.
DUMMY_AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}

_LOOPBACK_NAMES = "localhost,127.0.0.1,::1"


class LocalError(Exception):
    """A local command cannot go on; the message is one line for a person: what, where, what to do."""


def require_loopback(url: str) -> str:
    """Return ``url`` without a trailing slash if it leads to this machine and nowhere else.

    Raises :class:`LocalError` for anything but ``http://`` and a host all of whose addresses are loopback.
    """
    refused = f"local commands talk to this machine only, not to {url!r}; use http://127.0.0.1:PORT"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 80
    except ValueError as error:
        raise LocalError(f"{refused} ({error})") from error
    if parts.scheme != "http" or not host:
        raise LocalError(refused)
    _require_loopback_host(host, port, refused)
    return url.rstrip("/")


def require_broker(address: str) -> str:
    """Return the ``HOST:PORT`` of a broker if it leads to this machine and nowhere else, else raise LocalError."""
    refused = f"local commands talk to a Kafka broker on this machine only, not to {address!r}; use 127.0.0.1:PORT"
    host, _, port = address.rpartition(":")
    if not host or "," in address or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise LocalError(refused)
    _require_loopback_host(host.removeprefix("[").removesuffix("]"), int(port), refused)
    return address


def _require_loopback_host(host: str, port: int, refused: str) -> None:
    addresses = _addresses(host, port)
    if not addresses:
        raise LocalError(f"{refused} ({host} has no address here)")
    if not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise LocalError(f"{refused} ({host} is {', '.join(sorted(addresses))})")


def _addresses(host: str, port: int) -> set[str]:
    try:
        return {str(ipaddress.ip_address(host))}
    except ValueError:
        pass  # a name
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


def local_environment(endpoint: str) -> dict[str, str]:
    """This process's environment with every AWS setting replaced by those for the emulator at ``endpoint``.

    Proxies stay, for package downloads, but are not used for the loopback interface.
    Raises :class:`LocalError` for an endpoint that is not on it.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= DUMMY_AWS | {"AWS_ENDPOINT_URL": require_loopback(endpoint)}
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, (os.environ.get(name), _LOOPBACK_NAMES)))
    return environment


def enter(endpoint: str) -> boto3.Session:
    """Turn this process to ``endpoint``: whatever it asks of AWS from now on, in any library, goes there.

    Raises :class:`LocalError` for an endpoint that is not on the loopback interface.
    """
    environment = local_environment(endpoint)
    os.environ.clear()
    os.environ.update(environment)
    return boto3.Session()
