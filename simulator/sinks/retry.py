"""Retries with backoff, and the sink of AWS services that accept many entries per request, any of which may fail."""

from __future__ import annotations

import abc
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from simulator.sinks.record import Record
from simulator.sinks.sink import Delivery, SinkError
from telemetry.text.batches import limited_batches

if TYPE_CHECKING:
    from botocore.client import BaseClient

Client = TypeVar("Client", bound="BaseClient")

#: How often a record is sent before it is given up, and the waits between: some 8 s in all, on average.
MAX_ATTEMPTS = 10
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 3.0  # seconds

#: Errors of a whole request that only mean that it came too soon.
_BUSY = frozenset({"ProvisionedThroughputExceededException", "ServiceUnavailableException", "ThrottlingException"})


class Limits(NamedTuple):
    """Limits of a request: number of entries, bytes in all, and bytes per entry."""

    entries: int
    request_bytes: int
    entry_bytes: int


class RetryingSink(abc.ABC, Generic[Client]):
    """Puts records in requests; only the entries that fail are put again, with growing waits.

    A request holds at most one record per gateway, and the gateway's next goes out when that one is
    accepted or given up: entries that fail and are put again cannot overtake one another.
    """

    #: What AWS calls it, for errors.
    noun: ClassVar[str]
    limits: ClassVar[Limits]

    def __init__(
        self,
        client: Client,
        name: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client, self._name = client, name
        self._sleep, self._chance = sleep, chance

    @abc.abstractmethod
    def _put(self, request: list[Record]) -> Sequence[Mapping[str, Any]]:
        """Put one request; return a result per record, in their order."""

    @staticmethod
    @abc.abstractmethod
    def _size(record: Record) -> int:
        """Return the bytes that count towards the limits."""

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Put the records. Raises :class:`SinkError` with all that were not delivered if nothing more can be."""
        fitting = [record for record in records if self._size(record) <= self.limits.entry_bytes]
        refused = [record for record in records if self._size(record) > self.limits.entry_bytes]
        reason = f"larger than {self.limits.entry_bytes:,} bytes" if refused else ""
        retried = 0
        requests = list(self._requests(fitting))
        for number, request in enumerate(requests):
            try:
                delivery = self._deliver(request)
            except SinkError as error:
                later = [record for left in requests[number + 1 :] for record in left]
                error.unsent = [*refused, *error.unsent, *later]
                raise
            retried += delivery.retried
            refused += delivery.refused
            reason = delivery.reason or reason
        return Delivery(retried, tuple(refused), reason)

    def _requests(self, records: Iterable[Record]) -> Iterator[list[Record]]:
        """Cut records into requests within the limits: first each gateway's first record, then the second."""
        seen: Counter[str] = Counter()
        turns: defaultdict[int, list[Record]] = defaultdict(list)
        for record in records:
            turns[seen[record.gateway]].append(record)
            seen[record.gateway] += 1
        for turn in turns.values():
            yield from limited_batches(turn, self._size, most_bytes=self.limits.request_bytes, most=self.limits.entries)

    def _deliver(self, request: list[Record]) -> Delivery:
        retried = 0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                failed, reason = self._attempt(request)
            except SinkError as error:
                error.unsent = request
                raise
            if not failed or attempt == MAX_ATTEMPTS:
                break
            self._sleep(backoff(attempt, self._chance))
            retried += len(failed)
            request = failed
        return Delivery(retried, tuple(failed), f"{reason}, {MAX_ATTEMPTS} times" if failed else "")

    def _attempt(self, request: list[Record]) -> tuple[list[Record], str]:
        """Put one request once; return the records that failed, and why the last of them did."""
        try:
            results = self._put(request)
        except ClientError as error:
            detail = error.response["Error"]
            if detail["Code"] in _BUSY:
                return request, f"{detail['Code']}: {detail.get('Message', '')}"
            raise SinkError(self._explain(error)) from error
        except BotoCoreError as error:
            raise SinkError(f"cannot put records on the {self.noun} {self._name!r}: {error}") from error
        failed, reason = [], ""
        for record, result in zip(request, results, strict=True):
            if code := result.get("ErrorCode"):
                failed.append(record)
                reason = f"{code}: {result.get('ErrorMessage', '')}"
        return failed, reason

    def _explain(self, error: ClientError) -> str:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return (
                f"there is no {self.noun} {self._name!r} at {self._client.meta.endpoint_url}; "
                "check the name in --sink and AWS_ENDPOINT_URL, or deploy first"
            )
        return f"the {self.noun} {self._name!r} accepted no records: {error}"


def backoff(attempt: int, chance: Callable[[], float]) -> float:
    """Return the seconds to wait after the ``attempt``-th failure, the first being 1.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    longest: float = min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2**attempt)
    return chance() * longest
