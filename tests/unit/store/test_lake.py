"""Transitions on their way to the lake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from lambdas.store.backoff import Backoff
from lambdas.store.lake import AlertsLake, LakeError
from telemetry.alerting.transitions import Transition
from tests.unit.notifier.samples import firing


class Firehose:
    """Takes what the real one takes; ``refuses`` says of the n-th record of a call whether it does not."""

    def __init__(self, refuses: Callable[[int, int], bool] = lambda *_: False) -> None:
        self._refuses = refuses
        self.records: list[bytes] = []
        self.calls = 0

    def put_record_batch(self, *, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:  # noqa: N803
        assert DeliveryStreamName == "alerts"
        data = [record["Data"] for record in Records]
        assert 0 < len(data) <= 500
        assert max(map(len, data)) <= 1000 * 1024
        assert sum(map(len, data)) <= 4 * 1024 * 1024
        refused = [self._refuses(self.calls, index) for index in range(len(data))]
        self.calls += 1
        self.records += [record for record, no in zip(data, refused, strict=True) if not no]
        answers = [{"ErrorCode": "ServiceUnavailableException"} if no else {"RecordId": "1"} for no in refused]
        return {"FailedPutCount": sum(refused), "RequestResponses": answers}

    @property
    def transitions(self) -> list[Transition]:
        lines = b"".join(self.records).splitlines(keepends=True)
        assert all(line.endswith(b"\n") for line in lines)
        return [msgspec.json.decode(line, type=Transition) for line in lines]


def lake(firehose: Firehose, waits: list[float] | None = None) -> AlertsLake:
    waits = [] if waits is None else waits
    return AlertsLake(firehose, "alerts", Backoff(sleep=waits.append, chance=lambda: 1.0))  # type: ignore[arg-type]


def test_should_put_many_transitions_into_few_records() -> None:
    firehose, transitions = Firehose(), [firing(f"d{number}") for number in range(20_000)]
    lake(firehose).put(transitions)
    assert firehose.transitions == transitions
    assert len(firehose.records) == -(-sum(map(len, firehose.records)) // (1000 * 1024))
    assert firehose.calls > 1


def test_should_call_nobody_for_nothing() -> None:
    firehose = Firehose()
    lake(firehose).put([])
    assert firehose.calls == 0


def test_should_try_again_only_what_was_refused() -> None:
    transitions = [firing(f"d{number}", summary="x" * 900_000) for number in range(3)]
    firehose = Firehose(lambda call, index: call == 0 and index == 1)
    waits: list[float] = []
    lake(firehose, waits).put(transitions)
    assert [transition.device for transition in firehose.transitions] == ["d0", "d2", "d1"]
    assert [wait > 0 for wait in waits] == [True]


def test_should_give_up_on_what_is_always_refused() -> None:
    firehose = Firehose(lambda *_: True)
    with pytest.raises(LakeError, match="refused 1 of 1 records, 6 times: ServiceUnavailableException"):
        lake(firehose).put([firing()])
    assert firehose.calls == 6
