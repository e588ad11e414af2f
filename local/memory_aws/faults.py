"""The plan of what goes wrong at which call to AWS."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

from botocore.exceptions import ClientError, ReadTimeoutError

T = TypeVar("T")

#: One for all, since a lock cannot be copied and a plan can.
_COUNTING = threading.Lock()


class Killed(BaseException):
    """The process is gone in the middle of its work, with all that it had in memory."""


class Fault(enum.Enum):
    """Fault of a call."""

    THROTTLED = "ThrottlingException"
    DENIED = "AccessDeniedException"
    PARTLY_DONE = "some keys are left unprocessed, or some entries refused"
    TIMED_OUT = "the call is done, but its answer never comes"
    KILLED_BEFORE = "the process dies before the call"
    KILLED_AFTER = "the process dies after the call"
    OVERTAKEN = "another execution of the same event runs from start to end before the call"


class Faults:
    """The fault at the n-th call, counted from 0 over all clients and executions."""

    def __init__(self, planned: Mapping[int, Fault] | None = None) -> None:
        self.planned: Mapping[int, Fault] = planned or {}
        self.calls = 0
        self.names: list[str] = []
        self.overtake: Callable[[], None] = lambda: None

    def call(self, operation: str, do: Callable[[], T], *, partly: Callable[[], T] | None = None) -> T:
        """Return the answer of ``do``, unless the plan has a fault here."""
        with _COUNTING:
            fault = self.planned.get(self.calls)
            self.calls += 1
            self.names.append(operation)
        return do() if fault is None else self._fail(fault, operation, do, partly)

    def _fail(self, fault: Fault, operation: str, do: Callable[[], T], partly: Callable[[], T] | None) -> T:
        if fault is Fault.PARTLY_DONE and partly:
            return partly()
        if fault in (Fault.THROTTLED, Fault.DENIED):
            raise client_error(fault.value, operation)
        if fault is Fault.KILLED_BEFORE:
            raise Killed
        if fault is Fault.OVERTAKEN:
            self.overtake()
        answer = do()
        if fault is Fault.TIMED_OUT:
            raise ReadTimeoutError(endpoint_url="https://aws")
        if fault is Fault.KILLED_AFTER:
            raise Killed
        return answer


class ConditionalCheckFailedException(ClientError):  # noqa: N818 - the SDK's name
    """See DynamoDB's ``exceptions``."""


class NoSuchKey(ClientError):  # noqa: N818 - the SDK's name
    """See S3's ``exceptions``."""


class Exceptions:
    """The ``exceptions`` of a client."""

    ConditionalCheckFailedException = ConditionalCheckFailedException
    NoSuchKey = NoSuchKey


def client_error(code: str, operation: str) -> ClientError:
    """Return the error as the SDK raises it."""
    kind: type[ClientError] = getattr(Exceptions, code, ClientError)
    return kind({"Error": {"Code": code, "Message": code}}, operation)
