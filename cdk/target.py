"""The target of a deployment: AWS, or an emulator on this machine. ``AWS_ENDPOINT_URL`` alone decides."""

from __future__ import annotations

import http.client
import ipaddress
import urllib.parse
from collections.abc import Mapping
from typing import Literal

Target = Literal["aws", "localstack", "ministack"]

_MINISTACK_HEALTH = "/_ministack/health"
_TIMEOUT_SECONDS = 5.0


class TargetError(ValueError):
    """The endpoint cannot be used; the message says why and what to do."""


def detect(environ: Mapping[str, str]) -> Target:
    """Return the target that ``AWS_ENDPOINT_URL`` points at; asks the endpoint which emulator it is."""
    endpoint = environ.get("AWS_ENDPOINT_URL", "")
    if not endpoint:
        return "aws"
    url = urllib.parse.urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not _is_loopback(url.hostname or ""):
        raise TargetError(
            f"AWS_ENDPOINT_URL is {endpoint}, which is not an emulator on this machine; "
            "unset it to deploy to AWS, or point it at http://127.0.0.1:<port>"
        )
    connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    try:
        connection = connect(url.netloc, timeout=_TIMEOUT_SECONDS)
        connection.request("GET", _MINISTACK_HEALTH)
        status = connection.getresponse().status
        connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise TargetError(f"nothing answers at AWS_ENDPOINT_URL={endpoint} ({error}); start it with 'iot up'") from None
    return "ministack" if status == http.client.OK else "localstack"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # LocalStack's own name for 127.0.0.1.
        return host == "localhost.localstack.cloud"
