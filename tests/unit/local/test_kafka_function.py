"""The bridge invokes the deployed function, and knows each kind of result."""

from __future__ import annotations

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from local.kafka.batches import Outcome
from local.kafka.function import LambdaFunction


class Lambda:
    """Lambda with one function."""

    def __init__(self, payload: bytes = b"null", **answer: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self._answer = {"Payload": io.BytesIO(payload), "ResponseMetadata": {"RequestId": "request-1"}, **answer}

    def invoke(self, **request: Any) -> dict[str, Any]:
        self.events.append(request)
        if self.error:
            raise self.error
        return self._answer


def outcome(client: Lambda) -> Outcome:
    found = LambdaFunction(client, "detector")(b"event")
    assert client.events == [{"FunctionName": "detector", "Payload": b"event"}]
    return found


@pytest.mark.parametrize(
    ("payload", "answer"),
    [(b"", None), (b"null", None), (b"{}", {}), (b'{"batchItemFailures": []}', {"batchItemFailures": []})],
)
def test_should_give_the_functions_answer(payload: bytes, answer: object) -> None:
    assert outcome(Lambda(payload)) == Outcome(answer=answer, request_id="request-1")  # type: ignore[arg-type]


def test_should_report_an_error_of_the_function() -> None:
    failed = Lambda(b'{"errorMessage": "no"}', FunctionError="Unhandled")
    assert outcome(failed) == Outcome(error="Unhandled", request_id="request-1")


@pytest.mark.parametrize("payload", [b'"done"', b"[]", b"7", b"not JSON"])
def test_should_take_an_answer_that_is_not_an_object_for_a_failure(payload: bytes) -> None:
    assert outcome(Lambda(payload)) == Outcome(error="InvalidAnswer", request_id="request-1")


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1"),
    ],
)
def test_should_say_that_the_function_was_not_reached(error: Exception) -> None:
    client = Lambda()
    client.error = error
    assert outcome(client) == Outcome(reason=str(error))
