"""The bridge's event source mapping does what Lambda's documentation says of Kafka."""

from __future__ import annotations

import datetime as dt
import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import pytest

from local.kafka.batches import Discarded, Outcome, Settings
from local.kafka.event_source import EventSource
from local.kafka.records import Record
from tests.unit.local.kafka_records import NOW, SOURCE, places, record

OK = Outcome(answer={"batchItemFailures": []})
ERROR = Outcome(error="Unhandled", request_id="request-1")
DEFAULT = Settings()
THROTTLED = Outcome(reason="TooManyRequestsException")


def failing(*identifiers: tuple[str, int]) -> Outcome:
    """The answer of a function that could not process these records."""
    failures = [{"itemIdentifier": {"partition": name, "offset": offset}} for name, offset in identifiers]
    return Outcome(answer={"batchItemFailures": failures})


class Reader:
    """A reader of what a test puts into it. Waiting takes no time."""

    def __init__(self) -> None:
        self.unread: deque[Record] = deque()
        self.committed: dict[int, int] = {}
        self.waits: list[float] = []
        self.forget: Callable[[Collection[int]], None] = lambda _: None
        self.on_wait: Callable[[], None] = lambda: None

    def __call__(self, forget: Callable[[Collection[int]], None]) -> Reader:
        self.forget = forget
        return self

    def take(self, most: int, window_seconds: float, idle_seconds: float) -> list[Record]:  # noqa: ARG002
        return [self.unread.popleft() for _ in range(min(most, len(self.unread)))]

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.on_wait()

    def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed |= offsets

    def close(self) -> None:
        pass


class Mapped:
    """The mapping of a function that a test writes."""

    def __init__(self, function: Callable[[list[tuple[str, int]]], Outcome], settings: Settings = DEFAULT) -> None:
        self.reader = Reader()
        self.events: list[list[tuple[str, int]]] = []
        #: What was committed when the function was called.
        self.committed_at_call: list[dict[int, int]] = []
        self.given_up: list[Discarded] = []
        self.is_destination_there = True
        self.now = NOW
        self._function = function
        self._source = EventSource(
            SOURCE, self.reader, self._invoke, self._give_up, settings=settings, clock=lambda: self.now
        )

    def deliver(self, records: Iterable[Record], turns: int = 1000) -> None:
        """Let the mapping work until it has nothing more to do, for so many turns at most."""
        self.reader.unread.extend(records)
        for _ in range(turns):
            before = len(self.events), len(self.given_up), len(self.reader.unread)
            self._source.turn(lambda: False)
            self._source.turn(lambda: False)
            if before == (len(self.events), len(self.given_up), len(self.reader.unread)):
                return

    def turn(self, *, stopped: bool = False) -> None:
        self._source.turn(lambda: stopped)

    def _invoke(self, event: bytes) -> Outcome:
        self.events.append(places(event))
        self.committed_at_call.append(dict(self.reader.committed))
        return self._function(self.events[-1])

    def _give_up(self, discarded: Discarded) -> bool:
        if self.is_destination_there:
            self.given_up.append(discarded)
        return self.is_destination_there


def offsets(discarded: Discarded) -> list[tuple[int, int]]:
    return [(item.record.partition, item.record.offset) for item in discarded.batch.items]


def script(*outcomes: Outcome) -> Callable[[object], Outcome]:
    """A function with one outcome after the other, and success from then on."""
    coming = iter(outcomes)
    return lambda _: next(coming, OK)


def test_should_deliver_a_batch_of_all_partitions_and_commit_after_it() -> None:
    mapped = Mapped(lambda _: OK)
    mapped.deliver([record(5), record(6), record(0, 1)])
    assert mapped.events == [[("readings-0", 5), ("readings-0", 6), ("readings-1", 0)]]
    assert mapped.committed_at_call == [{0: 5, 1: 0}]
    assert mapped.reader.committed == {0: 7, 1: 1}


def test_should_deliver_no_more_records_than_a_batch_holds() -> None:
    mapped = Mapped(lambda _: OK)
    mapped.deliver([record(number) for number in range(250)])
    assert [len(event) for event in mapped.events] == [100, 100, 50]


def test_should_deliver_no_more_bytes_than_an_event_holds() -> None:
    sizes = []

    def measure(event: bytes) -> Outcome:
        sizes.append(len(event))
        return OK

    reader = Reader()
    source = EventSource(SOURCE, reader, measure, lambda _: True, clock=lambda: NOW)
    reader.unread.extend(record(number, value=b"x" * 1_000_000) for number in range(20))
    for _ in range(20):
        source.turn(lambda: False)
    assert sum(sizes) > 20 * 1_333_333
    assert max(sizes) <= 6 * 1024 * 1024
    assert reader.committed == {0: 20}


def test_should_give_up_a_record_that_fits_into_no_event() -> None:
    mapped = Mapped(lambda _: OK, Settings(event_bytes=20_000))
    mapped.deliver([record(0), record(1, value=b"x" * 20_000), record(2)])
    assert mapped.events == [[("readings-0", 0), ("readings-0", 2)]]
    (discarded,) = mapped.given_up
    assert (discarded.condition, offsets(discarded), discarded.outcome) == (
        "MaximumPayloadSizeExceeded", [(0, 1)], None,
    )  # fmt: skip
    assert mapped.reader.committed == {0: 3}


def test_should_halve_a_batch_after_an_error_until_the_poison_is_alone() -> None:
    poison = ("readings-0", 2)
    mapped = Mapped(lambda event: ERROR if poison in event else OK, Settings(retries=2))
    mapped.deliver([record(number) for number in range(8)])
    assert [[offset for _, offset in event] for event in mapped.events] == [
        [0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3], [0, 1], [2, 3], [2], [2], [2], [3], [4, 5, 6, 7],
    ]  # fmt: skip
    (discarded,) = mapped.given_up
    assert (discarded.condition, offsets(discarded)) == ("RetryAttemptsExhausted", [(0, 2)])
    assert discarded.batch.invocations == 6
    assert discarded.outcome == ERROR


def test_should_commit_what_comes_before_the_records_that_are_delivered_again() -> None:
    mapped = Mapped(lambda event: ERROR if ("readings-0", 2) in event else OK, Settings(retries=2))
    mapped.deliver([record(number) for number in range(4)] + [record(9, 1)])
    assert [at[0] for at in mapped.committed_at_call] == [0, 0, 2, 2, 2, 2, 3]
    assert mapped.reader.committed == {0: 4, 1: 10}


def test_should_retry_just_the_records_that_the_answer_names() -> None:
    mapped = Mapped(script(failing(("readings-1", 1), ("readings-0", 0))))
    mapped.deliver([record(0), record(1), record(0, 1), record(1, 1), record(2, 1)])
    assert mapped.events[1] == [("readings-0", 0), ("readings-1", 1)]
    assert mapped.committed_at_call[1] == {0: 0, 1: 1}
    assert mapped.reader.committed == {0: 2, 1: 3}


def test_should_give_up_what_the_answers_go_on_to_name_and_tell_the_destination_once() -> None:
    mapped = Mapped(lambda event: failing(("readings-0", 1)) if ("readings-0", 1) in event else OK, Settings(retries=3))
    mapped.deliver([record(0), record(1), record(2)])
    assert len(mapped.events) == 1 + 3
    (discarded,) = mapped.given_up
    assert (discarded.condition, offsets(discarded), discarded.batch.invocations) == (
        "RetryAttemptsExhausted", [(0, 1)], 4,
    )  # fmt: skip


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": None}, {"batchItemFailures": []}])
def test_should_take_an_empty_answer_for_a_success(answer: Mapping[str, Any] | None) -> None:
    mapped = Mapped(lambda _: Outcome(answer=answer))
    mapped.deliver([record(0)])
    assert (len(mapped.events), mapped.reader.committed) == (1, {0: 1})


@pytest.mark.parametrize(
    "identifier",
    [
        None,
        "",
        "0",
        {},
        {"partition": "readings-0"},
        {"partition": "readings-0", "offset": 7},
        {"partition": "readings-9", "offset": 0},
        {"partition": [], "offset": 0},
    ],
)
def test_should_retry_the_whole_batch_for_an_identifier_that_is_not_in_it(identifier: object) -> None:
    mapped = Mapped(script(Outcome(answer={"batchItemFailures": [{"itemIdentifier": identifier}]})))
    mapped.deliver([record(0), record(1)])
    assert mapped.events == [[("readings-0", 0), ("readings-0", 1)]] * 2


def test_should_count_no_retry_while_the_function_is_not_reached() -> None:
    mapped = Mapped(script(*[THROTTLED] * 50, ERROR, *[THROTTLED] * 50, ERROR), Settings(retries=2))
    mapped.deliver([record(0)])
    assert (len(mapped.events), mapped.given_up) == (103, [])
    assert mapped.reader.committed == {0: 1}


def test_should_wait_longer_after_each_failure_and_no_more_than_a_second() -> None:
    mapped = Mapped(script(*[ERROR] * 6))
    mapped.deliver([record(0)])
    assert mapped.reader.waits == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_should_give_up_records_that_grew_too_old_before_they_are_tried() -> None:
    mapped = Mapped(lambda _: OK, Settings(max_age=dt.timedelta(hours=1)))
    mapped.deliver([record(0, age=dt.timedelta(hours=2)), record(1)])
    assert mapped.events == [[("readings-0", 1)]]
    (discarded,) = mapped.given_up
    assert (discarded.condition, offsets(discarded)) == ("RecordAgeExceeded", [(0, 0)])
    assert mapped.reader.committed == {0: 2}


def test_should_give_up_a_record_that_grows_too_old_while_it_waits_for_a_function() -> None:
    def age(_: object) -> Outcome:
        mapped.now += dt.timedelta(minutes=25)
        return THROTTLED

    mapped = Mapped(age, Settings(max_age=dt.timedelta(hours=1)))
    mapped.deliver([record(0)])
    assert len(mapped.events) == 3
    assert [each.condition for each in mapped.given_up] == ["RecordAgeExceeded"]


def test_should_commit_what_is_given_up_only_when_the_destination_has_it() -> None:
    mapped = Mapped(lambda _: ERROR, Settings(retries=0))
    mapped.reader.unread.append(record(0))
    mapped.turn()
    mapped.is_destination_there = False

    def is_there_again() -> None:
        mapped.is_destination_there = len(mapped.reader.waits) > 3

    mapped.reader.on_wait = is_there_again
    mapped.turn()
    assert mapped.reader.committed == {0: 1}
    assert len(mapped.given_up) == 1


def test_should_commit_nothing_when_it_is_stopped_before_the_destination_has_it() -> None:
    mapped = Mapped(lambda _: ERROR, Settings(retries=0))
    mapped.reader.unread.append(record(0))
    mapped.turn()
    mapped.is_destination_there = False
    mapped.turn(stopped=True)
    assert mapped.reader.committed == {0: 0}


def test_should_forget_the_records_of_a_partition_that_another_poller_has_now() -> None:
    mapped = Mapped(script(THROTTLED))
    mapped.reader.on_wait = lambda: mapped.reader.forget({1})
    mapped.deliver([record(3), record(4, 1)])
    assert mapped.events == [[("readings-0", 3), ("readings-1", 4)], [("readings-0", 3)]]
    assert mapped.reader.committed == {0: 4, 1: 4}


def test_should_name_a_batch_that_is_given_up_as_lambda_does() -> None:
    from local.kafka.function import FailureQueue

    sent: list[dict[str, Any]] = []

    class Sqs:
        def send_message(self, **request: Any) -> None:
            sent.append(request)

    queue = FailureQueue(Sqs(), "https://queue", "arn:function", SOURCE)  # type: ignore[arg-type]
    mapped = Mapped(lambda _: failing(("readings-0", 3), ("readings-0", 5), ("readings-1", 0)), Settings(retries=0))
    mapped.deliver([record(3), record(4), record(5), record(0, 1)])
    assert queue(mapped.given_up[0])
    assert sent[0]["QueueUrl"] == "https://queue"
    message = json.loads(sent[0]["MessageBody"])
    assert message["requestContext"] == {
        "requestId": "", "functionArn": "arn:function", "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 1,
    }  # fmt: skip
    assert message["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    at = {"firstRecordTimestamp": "2026-11-30T12:00:00.000Z", "lastRecordTimestamp": "2026-11-30T12:00:00.000Z"}
    info = message["KafkaBatchInfo"]
    assert info.pop("payloadSize") > 500
    assert info == {
        "batchSize": 3,
        "eventSourceArn": SOURCE.arn,
        "bootstrapServers": SOURCE.bootstrap,
        "recordsInfo": {
            "readings-0": {"firstRecordOffset": "3", "lastRecordOffset": "5", **at},
            "readings-1": {"firstRecordOffset": "0", "lastRecordOffset": "0", **at},
        },
    }
