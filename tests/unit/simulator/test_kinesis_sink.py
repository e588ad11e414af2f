"""Records on a Kinesis stream: the limits, the retries, the order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from simulator.sinks.kinesis import MAX_REQUEST_BYTES, MAX_REQUEST_RECORDS, KinesisSink
from simulator.sinks.record import MAX_RECORD_BYTES, Record
from simulator.sinks.retry import MAX_ATTEMPTS
from simulator.sinks.sink import SinkError

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Entry = tuple[str, bytes]

#: Whether putting an entry fails, at its first attempt, its second, and so on.
Fails = Callable[[Entry, int], bool]


def never(_entry: Entry, _attempt: int) -> bool:
    return False


def always(_entry: Entry, _attempt: int) -> bool:
    return True


class FakeKinesis:
    """A stream that fails the entries it is told to and keeps the others, in the order in which it took them."""

    def __init__(self, fails: Fails = never) -> None:
        self._fails = fails
        self._attempts: Counter[Entry] = Counter()
        self.requests: list[list[Entry]] = []
        self.kept: list[Entry] = []

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert StreamName == "readings"
        entries = [(record["PartitionKey"], record["Data"]) for record in Records]
        self.requests.append(entries)
        return {"Records": [self._take(entry) for entry in entries]}

    def _take(self, entry: Entry) -> dict[str, str]:
        self._attempts[entry] += 1
        if self._fails(entry, self._attempts[entry]):
            return {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
        self.kept.append(entry)
        return {"SequenceNumber": str(len(self.kept)), "ShardId": "shardId-000000000000"}


def sink_to(fake: object, sleeps: list[float] | None = None, chance: Callable[[], float] = lambda: 1.0) -> KinesisSink:
    waits: list[float] = [] if sleeps is None else sleeps
    return KinesisSink(cast("KinesisClient", fake), "readings", sleep=waits.append, chance=chance)


def record(gateway: str, payload: bytes) -> Record:
    return Record(gateway, payload, lines=1)


def entries(records: Sequence[Record]) -> list[Entry]:
    return [(record.gateway, record.payload) for record in records]


def test_should_put_each_record_with_its_gateway_as_partition_key() -> None:
    fake = FakeKinesis()
    records = [record("a", b"1\n"), record("b", b"2\n")]
    assert sink_to(fake).send(records) == (0, (), "")
    assert fake.requests == [[("a", b"1\n"), ("b", b"2\n")]]


def test_should_retry_only_the_failed_entries() -> None:
    fake = FakeKinesis(lambda entry, attempt: entry[0] in "bd" and attempt == 1)
    delivery = sink_to(fake).send([record(gateway, b"x\n") for gateway in "abcd"])
    assert [[gateway for gateway, _ in request] for request in fake.requests] == [["a", "b", "c", "d"], ["b", "d"]]
    assert (delivery.retried, delivery.refused) == (2, ())


def test_should_put_the_next_record_of_a_gateway_only_when_the_one_before_is_in() -> None:
    fake = FakeKinesis(lambda entry, attempt: entry == ("a", b"1\n") and attempt < 4)
    sink_to(fake).send([record("a", b"1\n"), record("a", b"2\n"), record("b", b"1\n")])
    assert fake.kept == [("b", b"1\n"), ("a", b"1\n"), ("a", b"2\n")]


@given(st.data())
def test_should_keep_each_gateways_order_whatever_fails(data: st.DataObject) -> None:
    gateways = data.draw(st.lists(st.sampled_from("abc"), max_size=12))
    records = [record(gateway, b"%d\n" % number) for number, gateway in enumerate(gateways)]
    failures = {entry: data.draw(st.integers(0, MAX_ATTEMPTS + 1)) for entry in entries(records)}
    fake = FakeKinesis(lambda entry, attempt: attempt <= failures[entry])

    delivery = sink_to(fake).send(records)

    wanted, kept = defaultdict(list), defaultdict(list)
    for gateway, payload in entries(records):
        if failures[gateway, payload] < MAX_ATTEMPTS:
            wanted[gateway].append(payload)
    for gateway, payload in fake.kept:
        kept[gateway].append(payload)
    assert kept == wanted
    assert Counter(fake.kept) + Counter(entries(delivery.refused)) == Counter(entries(records))
    for request in fake.requests:
        assert len({gateway for gateway, _ in request}) == len(request)


def test_should_give_a_record_up_after_so_many_attempts_and_say_why() -> None:
    fake = FakeKinesis(lambda entry, _: entry[0] == "a")
    lost, kept = record("a", b"1\n"), record("b", b"1\n")
    delivery = sink_to(fake).send([lost, kept])
    assert delivery.refused == (lost,)
    assert len(fake.requests) == MAX_ATTEMPTS
    assert delivery.retried == MAX_ATTEMPTS - 1
    assert "ProvisionedThroughputExceededException: Rate exceeded" in delivery.reason


def test_should_wait_a_random_part_of_an_ever_longer_but_bounded_time() -> None:
    longest: list[float] = []
    sink_to(FakeKinesis(always), longest).send([record("a", b"1\n")])
    assert longest == [0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0, 3.0]
    halved: list[float] = []
    sink_to(FakeKinesis(always), halved, chance=lambda: 0.5).send([record("a", b"1\n")])
    assert halved == [wait / 2 for wait in longest]


def test_should_put_at_most_500_records_in_a_request() -> None:
    fake = FakeKinesis()
    sink_to(fake).send([record(f"gateway-{number}", b"x\n") for number in range(1_001)])
    assert [len(request) for request in fake.requests] == [MAX_REQUEST_RECORDS, MAX_REQUEST_RECORDS, 1]


def test_should_keep_every_request_within_its_bytes_keys_included() -> None:
    fake = FakeKinesis()
    sink_to(fake).send([record(f"gateway-{number}", b"x" * MAX_RECORD_BYTES) for number in range(12)])
    assert [len(request) for request in fake.requests] == [5, 5, 2]
    for request in fake.requests:
        assert sum(len(key.encode()) + len(data) for key, data in request) <= MAX_REQUEST_BYTES


class BrokenKinesis:
    """A stream that cannot be reached at all."""

    class Meta:
        endpoint_url = "http://127.0.0.1:4566"

    meta = Meta()

    def __init__(self, error: Exception) -> None:
        self._error = error

    def put_records(self, **_: object) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:4566"), r"'readings': Could not connect .*:4566"),
        (NoCredentialsError(), "'readings': Unable to locate credentials"),
        (
            ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not yours"}}, "PutRecords"),
            "'readings' accepted no records: .*not yours",
        ),
    ],
)
def test_should_explain_in_one_line_why_nothing_can_be_put(error: Exception, words: str) -> None:
    with pytest.raises(SinkError, match=words) as caught:
        sink_to(BrokenKinesis(error)).send([record("a", b"1\n")])
    assert "\n" not in str(caught.value)


@mock_aws
def test_should_put_records_with_the_real_sdk() -> None:
    client = boto3.client("kinesis", region_name="us-east-1")
    client.create_stream(StreamName="readings", ShardCount=1)
    KinesisSink(client, "readings").send([record("a", b"1\n"), record("a", b"2\n"), record("b", b"3\n")])

    (shard,) = client.list_shards(StreamName="readings")["Shards"]
    iterator = client.get_shard_iterator(
        StreamName="readings", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    put = [(entry["PartitionKey"], entry["Data"]) for entry in client.get_records(ShardIterator=iterator)["Records"]]
    assert put == [("a", b"1\n"), ("b", b"3\n"), ("a", b"2\n")]


@mock_aws
def test_should_name_a_stream_that_is_not_there() -> None:
    client = boto3.client("kinesis", region_name="us-east-1")
    with pytest.raises(SinkError, match=r"no Kinesis stream 'nowhere' at https://kinesis\.us-east-1\."):
        KinesisSink(client, "nowhere").send([record("a", b"1\n")])


def test_should_say_which_records_were_left_when_the_stream_breaks_off() -> None:
    class Breaking(FakeKinesis):
        """Takes one request, then credentials expire."""

        def put_records(self, **request: Any) -> dict[str, Any]:
            if self.requests:
                raise ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}, "PutRecords")
            return super().put_records(**request)

    records = [record("a", b"1\n"), record("b", b"1\n"), record("a", b"2\n"), record("a", b"3\n")]
    with pytest.raises(SinkError, match="expired") as caught:
        sink_to(Breaking()).send(records)
    assert list(caught.value.unsent) == records[2:]
