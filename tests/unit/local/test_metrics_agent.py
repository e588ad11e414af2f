"""Each line with metrics counts once, and what is put keeps the values, the moments and the limits of CloudWatch."""

from __future__ import annotations

import json
from bisect import insort
from collections import Counter
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from local import metrics_agent
from local.emf import Sample, Series
from local.metrics_agent import Agent, Follower, requests

GROUP = "/aws/lambda/iot-dev-detector"


class MemoryLogs:
    """Log groups as the emulator keeps them: sorted by time, an answer cut at its limit, no pages."""

    def __init__(self, limit: int = 10_000) -> None:
        self.groups: dict[str, list[tuple[int, str, str]]] = {}
        self._limit = limit

    def write(self, timestamp: int, stream: str, message: str, group: str = GROUP) -> None:
        insort(self.groups.setdefault(group, []), (timestamp, stream, message))

    def filter_log_events(
        self,
        *,
        logGroupName: str,  # noqa: N803
        filterPattern: str,  # noqa: N803
        startTime: int,  # noqa: N803
        limit: int,
    ) -> dict[str, Any]:
        assert filterPattern == '"_aws"'
        found = [event for event in self.groups[logGroupName] if event[0] >= startTime][: min(limit, self._limit)]
        return {"events": [{"timestamp": t, "logStreamName": s, "message": m} for t, s, m in found]}

    def get_paginator(self, name: Literal["describe_log_groups"], /) -> Any:
        assert name == "describe_log_groups"
        return self

    def paginate(self, *, logGroupNamePrefix: str) -> list[dict[str, Any]]:  # noqa: N803
        return [{"logGroups": [{"logGroupName": n}]} for n in self.groups if n.startswith(logGroupNamePrefix)]


class MemoryCloudWatch:
    """Takes metrics and adds their values up."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()

    def put_metric_data(self, *, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803
        for datum in MetricData:
            pairs = zip(datum["Values"], datum["Counts"], strict=True)
            self.sums[f"{Namespace} {datum['MetricName']}"] += sum(value * count for value, count in pairs)


def emf(value: float) -> str:
    directive = {"Namespace": "Some", "Dimensions": [[]], "Metrics": [{"Name": "Delay"}]}
    return json.dumps({"_aws": {"Timestamp": 1_000, "CloudWatchMetrics": [directive]}, "Delay": value})


#: What is written between two looks: how late each line shows up, by the clock, its stream and its message.
steps = st.lists(
    st.lists(st.tuples(st.integers(0, 5_000), st.sampled_from("ab"), st.sampled_from("xy")), max_size=8), max_size=8
)


@given(steps, st.integers(1, 4_000))
def test_should_yield_each_line_once_however_late_it_shows_up(
    written: list[list[tuple[int, str, str]]], pause: int
) -> None:
    logs = MemoryLogs()
    logs.groups[GROUP] = []
    follower = Follower(logs, GROUP)
    now = 1_000_000
    for some in written:
        now += pause
        for late, stream, message in some:
            logs.write(now - late, stream, message)
        assert Counter(follower.new_lines()) == Counter(message for _, _, message in some)
    assert list(follower.new_lines()) == []


def test_should_go_on_where_an_answer_is_full(monkeypatch: Any) -> None:
    monkeypatch.setattr(metrics_agent, "_MAX_EVENTS", 10)
    logs = MemoryLogs()
    for number in range(95):
        logs.write(number // 5, "stream", str(number))
    follower = Follower(logs, GROUP)
    assert sorted(map(int, follower.new_lines())) == list(range(95))
    assert list(follower.new_lines()) == []


def test_should_follow_groups_that_come_go_and_come_again() -> None:
    logs, cloudwatch = MemoryLogs(), MemoryCloudWatch()
    agent = Agent(logs, cloudwatch)  # type: ignore[arg-type]  # a fake
    agent.poll()
    logs.write(5, "a", emf(1))
    logs.write(5, "a", emf(100), group="/aws/kinesisfirehose/iot-dev-raw")
    agent.poll()
    logs.write(6, "b", emf(2), group="/aws/lambda/iot-prod-notifier")
    agent.poll()
    logs.groups.clear()
    agent.poll()
    logs.write(5, "a", emf(1))
    agent.poll()
    assert cloudwatch.sums == {"Some Delay": 4}


series = st.builds(
    Series,
    st.sampled_from(["one", "two"]),
    st.sampled_from(["a", "b"]),
    st.sampled_from([(), (("site", "s"),)]),
    st.sampled_from(["Count", "None"]),
)
samples = st.builds(
    Sample,
    series,
    st.integers(0, 5_000),
    st.lists(st.integers(0, 300).map(float), min_size=1, max_size=100).map(tuple),
)


@given(st.lists(samples, max_size=60))
def test_should_put_every_value_in_its_second_and_keep_within_the_limits(some: list[Sample]) -> None:
    put: Counter[tuple[Any, ...]] = Counter()
    for namespace, data in requests(some):
        assert 1 <= len(data) <= 1_000
        for datum in data:
            assert 1 <= len(datum["Values"]) <= 150
            dimensions = tuple((d["Name"], d["Value"]) for d in datum["Dimensions"])
            one = Series(namespace, datum["MetricName"], dimensions, datum["Unit"])
            for value, count in zip(datum["Values"], datum["Counts"], strict=True):
                put[one, datum["Timestamp"].timestamp(), value] += int(count)  # type: ignore[union-attr]
    assert put == Counter((s.series, float(s.timestamp // 1000), value) for s in some for value in s.values)


def test_should_ask_for_no_more_than_a_megabyte_at_a_time() -> None:
    many = [Sample(Series("one", f"m{number}", (), "None"), 0, (1.0,)) for number in range(450)]
    assert [len(data) for _, data in requests(many)] == [200, 200, 50]
