"""The event source mapping behaves as documented; the proofs of the delivery promise stand on that."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.eventsource import Clock, EventSourceMapping, Record, Settings

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
