"""Thousands of groups in one batch, while AWS takes its time, and executions whose time is over."""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Callable
from typing import Any

from lambdas.notifier.function import THREADS
from local.memory_aws.faults import Faults
from telemetry.notifying.queue import batches, encode_message
from tests.unit.notifier.deployment import Deployment
from tests.unit.notifier.samples import MINUTE, firing

#: Seconds that a request takes.
LATENCY = {
    "BatchGetItem": 0.010,
    "PutItem": 0.006,
    "PublishBatch": 0.030,
    "SendMessageBatch": 0.010,
    "PutRecordBatch": 0.030,
}

#: The function's timeout in seconds, as the CDK app sets it.
TIMEOUT = 30.0


class SlowFaults(Faults):
    """Requests that fail as planned, and take their time."""

    def call(self, operation: str, do: Callable[[], Any], *, partly: Callable[[], Any] | None = None) -> Any:
        time.sleep(LATENCY.get(operation, 0.0))
        return super().call(operation, do, partly=partly)


def bodies(count: int, first: int = 0) -> list[str]:
    """Return messages with one alert of each group."""
    numbers = range(first, first + count)
    alerts = [firing(f"d{number}", rule="too-cold", site=f"site-{number}") for number in numbers]
    return [encode_message(batch) for batch in batches(alerts)]


def test_should_publish_two_thousand_groups_of_one_batch_in_one_execution() -> None:
    deployment = Deployment(faults=SlowFaults())
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        deployment.in_parallel = pool.map
        deployment.has_time = lambda: time.monotonic() - started < TIMEOUT - 10
        assert deployment.execute(bodies(2000)) == []
    seconds = time.monotonic() - started
    requests = {name: deployment.faults.names.count(name) for name in LATENCY}
    one_by_one = 2000 * (2 * LATENCY["PutItem"] + 2 * LATENCY["PublishBatch"])
    print(
        f"2,000 groups in {seconds:.1f} s, one request after another {one_by_one:.0f} s at least; requests: {requests}"
    )
    assert len({told.notification_id for told in deployment.notifications}) == 2000
    assert len(deployment.sns.texts) == 2000
    assert requests["PublishBatch"] == 2 * 200
    assert deployment.sqs.messages == [], "nothing is left for another execution"
    assert seconds < TIMEOUT - 10


def test_should_leave_what_it_has_no_time_for_to_the_next_execution_at_once() -> None:
    deployment = Deployment()
    turns = iter([True, True, False])
    deployment.has_time = lambda: next(turns, True)
    messages = [body for first in range(0, 1000, 100) for body in bodies(100, first)]
    assert deployment.execute(messages) == [], "nothing failed"
    assert len(deployment.notifications) == 200
    assert len(deployment.sqs.messages) == 8, "what was done does not come again"
    assert len(deployment.run(MINUTE)) == 800
    assert len({told.notification_id for told in deployment.notifications}) == 1000


def test_should_have_the_most_severe_first_when_there_is_little_time() -> None:
    deployment = Deployment()
    turns = iter([True, False])
    deployment.has_time = lambda: next(turns, True)
    alerts = [
        firing(f"d{number}", rule="too-cold", site=f"s{number}", severity="page" if number % 10 == 9 else "info")
        for number in range(1000)
    ]
    deployment.execute([encode_message(batch) for batch in batches(alerts)])
    assert {told.severity for told in deployment.notifications} == {"page"}
    assert len(deployment.notifications) == 100
