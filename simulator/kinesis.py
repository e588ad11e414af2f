"""The sink that puts records on a Kinesis stream."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from simulator.batches import Record
from simulator.sinks import Delivery, SinkError

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
MAX_REQUEST_RECORDS = 500
#: AWS takes 10 MiB since 2025, emulators the 5 MiB of before.
MAX_REQUEST_BYTES = 5 * 1024 * 1024

#: How often a record is put before it is given up, and the waits between: some 8 s in all, on average.
MAX_ATTEMPTS = 10
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 3.0  # seconds


class KinesisSink:
    """Puts each record with its gateway as the partition key.

    A request holds one record of a gateway at most, and the gateway's next goes out when that one is
    accepted or given up: entries that fail and are put again cannot overtake one another.
    """

    def __init__(
        self,
        client: KinesisClient,
        stream: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client, self._stream = client, stream
        self._sleep, self._chance = sleep, chance

    def send(self, records: Sequence[Record], /) -> Delivery:
        """Put the records; only the entries that fail are put again, ever later."""
        retried, reason = 0, ""
        refused: list[Record] = []
        requests = list(_requests(records))
        for number, request in enumerate(requests):
            try:
                delivery = self._deliver(request)
            except SinkError as error:
                error.unsent = [*error.unsent, *(record for later in requests[number + 1 :] for record in later)]
                raise
            retried += delivery.retried
            refused += delivery.refused
            reason = delivery.reason or reason
        return Delivery(retried, tuple(refused), reason)

    def _deliver(self, request: list[Record]) -> Delivery:
        retried = 0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                failed, reason = self._put(request)
            except SinkError as error:
                error.unsent = request
                raise
            if not failed or attempt == MAX_ATTEMPTS:
                break
            # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
            self._sleep(self._chance() * min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2**attempt))
            retried += len(failed)
            request = failed
        return Delivery(retried, tuple(failed), f"{reason}, {MAX_ATTEMPTS} times" if failed else "")

    def _put(self, request: list[Record]) -> tuple[list[Record], str]:
        """One PutRecords: the records that failed, and why the last of them did."""
        try:
            response = self._client.put_records(
                StreamName=self._stream,
                Records=[{"Data": record.payload, "PartitionKey": record.gateway} for record in request],
            )
        except ClientError as error:
            raise SinkError(self._explain(error)) from error
        except BotoCoreError as error:
            raise SinkError(f"cannot put records on the Kinesis stream {self._stream!r}: {error}") from error
        failed, reason = [], ""
        for record, result in zip(request, response["Records"], strict=True):
            if code := result.get("ErrorCode"):
                failed.append(record)
                reason = f"{code}: {result.get('ErrorMessage', '')}"
        return failed, reason

    def _explain(self, error: ClientError) -> str:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return (
                f"there is no Kinesis stream {self._stream!r} at {self._client.meta.endpoint_url}; "
                "check --stream and AWS_ENDPOINT_URL, or deploy first"
            )
        return f"the Kinesis stream {self._stream!r} took no records: {error}"


def _requests(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Cut records into requests within the limits: first each gateway's first record, then the second."""
    seen: Counter[str] = Counter()
    turns: defaultdict[int, list[Record]] = defaultdict(list)
    for record in records:
        turns[seen[record.gateway]].append(record)
        seen[record.gateway] += 1
    for turn in turns.values():
        request: list[Record] = []
        size = 0
        for record in turn:
            entry = len(record.payload) + len(record.gateway.encode())
            if request and (len(request) == MAX_REQUEST_RECORDS or size + entry > MAX_REQUEST_BYTES):
                yield request
                request, size = [], 0
            request.append(record)
            size += entry
        yield request
