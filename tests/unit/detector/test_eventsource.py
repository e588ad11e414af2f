"""The event source mapping behaves as documented; the proofs of the delivery promise stand on that."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

from tests.eventsource import TOPIC, Clock, EventSourceMapping, Record, Settings

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
RECORDS = tuple(Record(sequence, "gw", b"", NOW) for sequence in range(4))


def delivered(settings: Settings, bad: int, *, partial: bool) -> tuple[list[str], list[tuple[str, list[int]]]]:
    """What a function that cannot do with one record is given, and what the failure destination gets."""
    batches: list[str] = []

    def function(event: dict[str, Any]) -> dict[str, Any]:
        numbers = [record["kinesis"]["sequenceNumber"] for record in event["Records"]]
        batches.append("".join(numbers))
        failures = [{"itemIdentifier": number} for number in reversed(numbers) if int(number) >= bad]
        if str(bad) in numbers and not partial:
            raise ValueError(bad)
        return {"batchItemFailures": failures if str(bad) in numbers else []}

    mapping = EventSourceMapping(RECORDS, settings, function, Clock(NOW))
    mapping.run()
    return batches, [
        (given_up.condition, [r.sequence for r in given_up.records]) for given_up in mapping.failure_destination
    ]


def test_should_halve_a_batch_after_an_error_without_using_up_retries() -> None:
    batches, given_up = delivered(Settings(retries=1), 2, partial=False)
    assert batches == ["0123", "01", "23", "2", "2", "3"]
    assert given_up == [("RetryAttemptsExhausted", [2])]


def test_should_go_on_from_the_lowest_failure() -> None:
    batches, given_up = delivered(Settings(retries=1), 2, partial=True)
    assert batches == ["0123", "23", "23"]
    assert given_up == [("RetryAttemptsExhausted", [2, 3])]


def test_should_try_a_batch_again_whole_when_it_does_not_bisect() -> None:
    batches, given_up = delivered(Settings(retries=2, bisect=False), 2, partial=False)
    assert batches == ["0123", "0123", "0123"]
    assert given_up == [("RetryAttemptsExhausted", [0, 1, 2, 3])]


def test_should_give_up_records_that_are_too_old() -> None:
    settings = Settings(batch_size=1, max_age=dt.timedelta(seconds=3))
    batches, given_up = delivered(settings, 2, partial=False)
    assert batches == ["0", "1", "2"]
    assert given_up == [("RecordAgeExceeded", [2]), ("RecordAgeExceeded", [3])]


#: Two partitions: the keys "a" and "c" are in one of them, "b" and "d" in the other.
PARTITIONS = Settings(shards=2, parallelization=1, batch_size=4, retries=1, stream="kafka")
MIXED = tuple(Record(offset, key, b"x", NOW) for offset, key in enumerate("acbdab"))


def taken(settings: Settings, bad: str, *, partial: bool = True) -> tuple[list[str], list[list[int]]]:
    """What a function that cannot do with one key is given of a topic, and what the failure destination gets."""
    batches: list[str] = []

    def function(event: dict[str, Any]) -> dict[str, Any]:
        records = [(partition, record) for partition, records in event["records"].items() for record in records]
        keys = [base64.b64decode(record["key"]).decode() for _, record in records]
        batches.append("".join(keys))
        if bad in keys and not partial:
            raise ValueError(bad)
        failed = [record for key, record in zip(keys, records, strict=True) if key == bad]
        names = [{"partition": partition, "offset": record["offset"]} for partition, record in failed]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}

    mapping = EventSourceMapping(MIXED, settings, function, Clock(NOW))
    mapping.run()
    return batches, [[record.sequence for record in given_up.records] for given_up in mapping.failure_destination]


def test_should_have_several_partitions_in_an_event_of_kafka_one_after_the_other() -> None:
    event = PARTITIONS.event(MIXED)
    assert {name: [record["offset"] for record in records] for name, records in event["records"].items()} == {
        f"{TOPIC}-{PARTITIONS.shard_of(MIXED[0])}": [0, 1, 4],
        f"{TOPIC}-{PARTITIONS.shard_of(MIXED[2])}": [2, 3, 5],
    }


def test_should_deliver_again_only_the_failed_records_of_kafka() -> None:
    batches, given_up = taken(PARTITIONS, "a")
    assert batches == ["acbd", "a", "ab", "a"]
    assert given_up == [[0], [4]]


def test_should_deliver_again_from_the_first_failure_of_a_partition_where_pollers_do_so() -> None:
    batches, given_up = taken(PARTITIONS._replace(only_failed=False), "a")
    assert batches == ["acbd", "ac", "ab", "a"]
    assert given_up == [[0, 1], [4]]


def test_should_halve_a_batch_of_kafka_after_an_error_only() -> None:
    batches, given_up = taken(PARTITIONS, "c", partial=False)
    assert batches == ["acbd", "ac", "a", "c", "c", "bd", "ab"]
    assert given_up == [[1]]


def test_should_deliver_the_batch_again_when_the_answer_names_a_record_that_is_not_in_it() -> None:
    batches: list[int] = []

    def function(event: dict[str, Any]) -> dict[str, Any]:
        batches.append(sum(map(len, event["records"].values())))
        return {"batchItemFailures": [{"itemIdentifier": {"partition": TOPIC, "offset": 0}}]}

    EventSourceMapping(MIXED, PARTITIONS._replace(bisect=False), function, Clock(NOW)).run()
    assert batches == [4, 4, 2, 2]
