"""Records on a delivery stream: the limits, the retries, the order. What all puts share is tested with Kinesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from simulator.sinks.firehose import MAX_REQUEST_BYTES, MAX_REQUEST_RECORDS, FirehoseSink
from simulator.sinks.record import MAX_RECORD_BYTES, Record
from simulator.sinks.retry import MAX_ATTEMPTS
from simulator.sinks.sink import SinkError

if TYPE_CHECKING:
    from mypy_boto3_firehose import FirehoseClient


class FakeFirehose:
    """A delivery stream that fails the entries it is told to and keeps the others in order."""

    def __init__(self, fails: Callable[[bytes, int], bool] = lambda _data, _attempt: False) -> None:
        self._fails = fails
        self._attempts: Counter[bytes] = Counter()
        self.requests: list[list[bytes]] = []
        self.kept: list[bytes] = []

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert DeliveryStreamName == "readings"
        entries = [record["Data"] for record in Records]
        self.requests.append(entries)
        results = [self._take(entry) for entry in entries]
        return {"FailedPutCount": sum("ErrorCode" in result for result in results), "RequestResponses": results}

    def _take(self, entry: bytes) -> dict[str, str]:
        self._attempts[entry] += 1
        if self._fails(entry, self._attempts[entry]):
            return {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}
        self.kept.append(entry)
        return {"RecordId": str(len(self.kept))}


def sink_to(fake: object, sleeps: list[float] | None = None) -> FirehoseSink:
    waits: list[float] = [] if sleeps is None else sleeps
    return FirehoseSink(cast("FirehoseClient", fake), "readings", sleep=waits.append, chance=lambda: 1.0)


def records(*entries: tuple[str, bytes]) -> list[Record]:
    return [Record(gateway, payload, 1) for gateway, payload in entries]


def test_should_put_each_records_lines() -> None:
    fake = FakeFirehose()
    assert sink_to(fake).send(records(("a", b"1\n"), ("b", b"2\n3\n"))) == (0, (), "")
    assert fake.requests == [[b"1\n", b"2\n3\n"]]


def test_should_retry_only_the_failed_entries() -> None:
    fake = FakeFirehose(lambda data, attempt: data in (b"b", b"d") and attempt == 1)
    delivery = sink_to(fake).send(records(("a", b"a"), ("b", b"b"), ("c", b"c"), ("d", b"d")))
    assert fake.requests == [[b"a", b"b", b"c", b"d"], [b"b", b"d"]]
    assert (delivery.retried, delivery.refused) == (2, ())


def test_should_put_the_next_record_of_a_gateway_only_when_the_one_before_is_in() -> None:
    fake = FakeFirehose(lambda data, attempt: data == b"a1" and attempt < 4)
    sink_to(fake).send(records(("a", b"a1"), ("a", b"a2"), ("b", b"b1")))
    assert fake.kept == [b"b1", b"a1", b"a2"]


def test_should_give_a_record_up_after_so_many_attempts_and_say_why() -> None:
    fake = FakeFirehose(lambda data, _attempt: data == b"a")
    waits: list[float] = []
    lost, kept = records(("a", b"a"), ("b", b"b"))
    delivery = sink_to(fake, waits).send([lost, kept])
    assert delivery == (MAX_ATTEMPTS - 1, (lost,), f"ServiceUnavailableException: Slow down., {MAX_ATTEMPTS} times")
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0, 3.0]


def test_should_keep_every_request_within_its_records_and_bytes() -> None:
    fake = FakeFirehose()
    sink_to(fake).send(records(*((f"gateway-{number}", b"x\n") for number in range(1_001))))
    assert [len(request) for request in fake.requests] == [MAX_REQUEST_RECORDS, MAX_REQUEST_RECORDS, 1]

    fake = FakeFirehose()
    sink_to(fake).send(records(*((f"gateway-{number}", b"x" * MAX_RECORD_BYTES) for number in range(9))))
    assert [len(request) for request in fake.requests] == [4, 4, 1]
    assert all(sum(map(len, request)) <= MAX_REQUEST_BYTES for request in fake.requests)


def test_should_refuse_a_record_that_is_too_large_and_put_the_others() -> None:
    fake = FakeFirehose()
    large, small = records(("a", b"x" * (MAX_RECORD_BYTES + 1)), ("a", b"x\n"))
    assert sink_to(fake).send([large, small]) == (0, (large,), "larger than 1,024,000 bytes")
    assert fake.kept == [small.payload]


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "the message"}}, "PutRecordBatch")


class BrokenFirehose(FakeFirehose):
    """A delivery stream whose first requests, or all, fail as a whole."""

    class Meta:
        endpoint_url = "http://127.0.0.1:4566"

    meta = Meta()

    def __init__(self, errors: Sequence[Exception]) -> None:
        super().__init__()
        self._errors = list(errors)

    def put_record_batch(self, **request: Any) -> dict[str, Any]:
        if self._errors:
            raise self._errors.pop(0)
        return super().put_record_batch(**request)


def test_should_put_a_whole_request_again_that_came_too_soon() -> None:
    fake = BrokenFirehose([client_error("ServiceUnavailableException")] * 2)
    assert sink_to(fake).send(records(("a", b"a"), ("b", b"b"))) == (4, (), "")
    assert fake.kept == [b"a", b"b"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:4566"), "'readings': Could not connect"),
        (
            client_error("ResourceNotFoundException"),
            "no delivery stream 'readings' at http://.*:4566; check",
        ),
        (client_error("InvalidArgumentException"), "'readings' accepted no records: .*the message"),
    ],
)
def test_should_explain_in_one_line_why_nothing_can_be_put(error: Exception, words: str) -> None:
    sent = records(("a", b"1\n"), ("a", b"2\n"))
    with pytest.raises(SinkError, match=words) as caught:
        sink_to(BrokenFirehose([error])).send(sent)
    assert "\n" not in str(caught.value)
    assert list(caught.value.unsent) == sent
