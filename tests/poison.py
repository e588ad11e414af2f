"""A table that refuses a state or a group with a device "poison", whatever the try."""

from __future__ import annotations

import zlib
from typing import Any

from local.memory_aws.dynamodb import DynamoDB
from local.memory_aws.faults import client_error


class RefusingPoison(DynamoDB):
    """See the module."""

    def put_item(self, **request: Any) -> None:
        if "state" in request["Item"] and b'"poison"' in zlib.decompress(request["Item"]["state"]["B"]):
            raise client_error("ValidationException", "PutItem")
        super().put_item(**request)
