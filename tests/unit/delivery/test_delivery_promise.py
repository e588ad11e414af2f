"""What docs/delivery.md promises, held against everything that may go wrong on the way.

The deployed handlers of detector, watchdog and notifier run behind event sources that behave as documented, on an AWS
that fails as hypothesis plans it, behind a stream of Kinesis and behind a topic of Kafka. The measure is always the
undisturbed run: the same code over the same records while nothing fails.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.memory_aws.faults import Fault
from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading
from tests.conftest import Sampled
from tests.eventsource import STREAMS, EventSourceMapping, Record, Settings, Stream
from tests.unit.delivery.deployed import NOW, Deployed, bundled

RULES = b"""
defaults: {group_wait: 5s, group_interval: 30s}
rules:
  - {name: too-hot, when: temperature > 40, clear: temperature < 38, severity: critical}
  - {name: battery-low, when: battery < 2.4, clear: battery > 2.6, for: 20s}
  - {name: broken, when: status == fault, keep_firing_for: 10s}
"""

on_each_stream = pytest.mark.parametrize("stream", STREAMS)

pytestmark = [
    pytest.mark.filterwarnings("ignore:No application metrics to publish"),
    pytest.mark.filterwarnings("ignore:Dimension 'stage' has already been added"),  # by the execution overtaken
]


@pytest.fixture(scope="module", autouse=True)
def _bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with bundled(tmp_path_factory.mktemp("bundle"), RULES):
        yield


class Way(NamedTuple):
    """How a run goes: the mapping's settings, whose turn it is, and what fails at which call."""

    settings: Settings
    turns: list[int]
    faults: dict[int, Fault]

    def on(self, stream: Stream) -> Way:
        """Return the same way behind another kind of stream."""
        return self._replace(settings=self.settings._replace(stream=stream))


def examples(count: int) -> settings:
    """Try so many examples, half of them behind each kind of stream; all behind both where new ones are looked for."""
    is_whole = settings.get_current_profile_name() == "explore"
    return settings(max_examples=count if is_whole else count // len(STREAMS))


Sent = tuple[str, int, float, float | None, str]


def lines(minute: int, readings: Sequence[Sent], first_seq: int = 0, *, gateway: str = "") -> bytes:
    """A record of (device, second, temperature, battery, status) taken in one minute; a gateway has its own devices."""
    return encode_batch(
        Reading(
            device_id=gateway + device,
            site="s",
            ts=NOW - dt.timedelta(minutes=20 - minute, seconds=-second),
            seq=first_seq + index,
            temperature=temperature,
            battery=battery,
            status=status,  # type: ignore[arg-type]
        )
        for index, (device, second, temperature, battery, status) in enumerate(readings)
    )


@st.composite
def streams(draw: st.DrawFn, poisoned: bool = False, disordered: bool = False) -> list[Record]:
    """Records of three gateways, sometimes a record again.

    A device's readings come in the order of their time as they are taken, or in any with ``disordered``.
    """
    reading = st.tuples(
        st.sampled_from(["d1", "d2"]),
        st.integers(0, 59),
        st.sampled_from([20.0, 39.0, 41.0]),
        st.sampled_from([None, 2.0, 2.5, 3.0]),
        st.sampled_from(["ok", "ok", "fault"]),
    )
    batches = st.tuples(st.sampled_from("abc"), st.lists(reading, max_size=4), st.sampled_from([b"", b"nonsense\n"]))
    records: list[Record] = []
    drawn: list[tuple[str, list[Sent], bytes]] = draw(st.lists(batches, min_size=1, max_size=10))
    if poisoned:
        drawn.insert(draw(st.integers(0, len(drawn))), ("a", [POISON], b""))
    for number, (gateway, readings, rubbish) in enumerate(drawn):
        minute = draw(st.integers(0, 3)) if disordered else number
        taken = readings if disordered else [(each[0], 9 * at, *each[2:]) for at, each in enumerate(readings)]
        arrived = NOW - dt.timedelta(minutes=19 - number)
        data = lines(minute, taken, number * 10, gateway="" if POISON in readings else gateway)
        records.append(Record(len(records), gateway, data + rubbish, arrived))
        if not poisoned and draw(st.booleans()):
            sent_again = draw(st.sampled_from(records))
            records.append(sent_again._replace(sequence=len(records), arrived=arrived))
    return records


#: A reading whose alert cannot be written.
POISON: Sent = ("poison", 0, 99.0, None, "ok")

#: Faults that leave an execution environment what it has in memory, and no other one at work.
KEEPS_MEMORY = [Fault.THROTTLED, Fault.DENIED, Fault.PARTLY_DONE, Fault.TIMED_OUT]


def ways_with(faults: Iterable[Fault], *, parallel: bool = True) -> st.SearchStrategy[Way]:
    """Ways with some kinds of faults; without ``parallel``, the records of all gateways come in one order."""
    return st.builds(
        Way,
        st.builds(
            Settings,
            shards=st.integers(1, 2) if parallel else st.just(1),
            batch_size=st.integers(1, 12),
            parallelization=st.integers(1, 3) if parallel else st.just(1),
            bisect=st.booleans(),
            retries=st.just(Settings().retries),
            max_age=st.just(Settings().max_age),
            halves_at_first=st.booleans(),
            only_failed=st.booleans(),
        ),
        st.lists(st.integers(0, 5), max_size=20),
        st.dictionaries(st.integers(0, 80), st.sampled_from(list(faults)), max_size=10),
    )


ways = ways_with(Fault)


def run(deployed: Deployed, records: Sequence[Record], settings: Settings, turns: Iterable[int] = ()) -> Deployed:
    """The stream to its end, then the queue and the watchdog for long enough that nothing is left to do."""
    mapping = EventSourceMapping(records, settings, deployed.detector, deployed.clock)
    mapping.run(turns)
    deployed.given_up = mapping.failure_destination
    deployed.settle()
    return deployed


def undisturbed(records: Sequence[Record], settings: Settings = Settings()) -> Deployed:  # noqa: B008 - a constant
    """The run in which nothing fails, with the same shards or partitions."""
    return run(Deployed(RULES), records, Settings(shards=settings.shards, stream=settings.stream))


def changes(lines: Iterable[dict[str, Any]]) -> set[tuple[str, int, str, str, str]]:
    """The transitions, by what does not depend on the clock."""
    return {(t["alert_id"], t["sequence"], t["change"], t["device"], t["rule"]) for t in lines}


def last_told(inbox: Iterable[dict[str, Any]]) -> dict[str, tuple[int, str]]:
    """By alert, the highest sequence that was told and what it said."""
    told: dict[str, tuple[int, str]] = {}
    for alert in (alert for notification in inbox for alert in notification["alerts"]):
        told[alert["alert_id"]] = max(told.get(alert["alert_id"], (0, "")), (alert["sequence"], alert["status"]))
    return told


def ever_told(inbox: Iterable[dict[str, Any]]) -> set[str]:
    return {alert["alert_id"] for notification in inbox for alert in notification["alerts"]}


def assert_same_outcome(deployed: Deployed, expected: Deployed) -> None:
    assert changes(deployed.lake) == changes(expected.lake)
    assert deployed.alerts == expected.alerts
    assert last_told(deployed.inbox) == last_told(expected.inbox)
    assert deployed.outboxes == []


def assert_promise_kept(records: list[Record], way: Way) -> None:
    expected = undisturbed(records, way.settings)
    deployed = run(Deployed(RULES, way.faults), records, way.settings, way.turns)
    assert deployed.given_up == []
    assert_same_outcome(deployed, expected)
    assert ever_told(expected.inbox) == {t["alert_id"] for t in expected.lake if t["fired_at"]}


@on_each_stream
@given(records=streams(), way=ways)
@examples(120)
def test_should_tell_every_alert_and_none_that_did_not_happen(records: list[Record], way: Way, stream: Stream) -> None:
    assert_promise_kept(records, way.on(stream))


@on_each_stream
@given(records=streams(disordered=True), way=ways_with(KEEPS_MEMORY))
@examples(50)
def test_should_tell_the_same_of_devices_out_of_order_while_no_environment_dies(
    records: list[Record], way: Way, stream: Stream
) -> None:
    assert_promise_kept(records, way.on(stream))


#: Records that fire, resolve and fire again, at two gateways.
HOT_AND_COLD: list[Sent] = [
    ("d1", 0, 41.0, 2.0, "ok"),
    ("d2", 1, 41.0, 2.5, "fault"),
    ("d1", 2, 20.0, 3.0, "ok"),
    ("d1", 3, 41.0, None, "ok"),
]
BUSY = [
    Record(0, "a", lines(0, HOT_AND_COLD, gateway="a"), NOW),
    Record(1, "b", lines(0, HOT_AND_COLD, gateway="b"), NOW),
    Record(2, "a", lines(1, [("d1", 0, 20.0, None, "ok")], 10, gateway="a"), NOW),
]

#: A run tries one in five of the pairs of a call and a fault.
ONE_IN = 5


def cases(expected: Deployed) -> list[tuple[int, Fault]]:
    """Every call of a run with every fault that may happen at it."""
    return list(itertools.product(range(expected.calls), Fault))


@on_each_stream
@pytest.mark.parametrize("fault", Fault)
def test_should_keep_the_promise_whatever_the_call_that_fails(sampled: Sampled, fault: Fault, stream: Stream) -> None:
    behind = Settings(stream=stream, shards=2)
    expected = undisturbed(BUSY, behind)
    for call in (call for call, each in sampled(cases(expected), ONE_IN) if each is fault):
        deployed = run(Deployed(RULES, {call: fault}), BUSY, behind)
        assert_same_outcome(deployed, expected)


@on_each_stream
def test_should_say_the_same_in_what_it_repeats(sampled: Sampled, stream: Stream) -> None:
    """A notification repeated after a crash is the same, to the letter but for when it was handed over."""
    expected = undisturbed(BUSY, Settings(stream=stream))
    for call in sampled(range(expected.calls), ONE_IN):
        deployed = run(Deployed(RULES, {call: Fault.KILLED_AFTER}), BUSY, Settings(stream=stream))
        contents: dict[str, set[str]] = {}
        for notification in deployed.inbox:
            content = {key: value for key, value in notification.items() if key != "published_at"}
            contents.setdefault(notification["notification_id"], set()).add(json.dumps(content, sort_keys=True))
        assert all(len(same) == 1 for same in contents.values())


@on_each_stream
@given(records=streams(), way=ways, data=st.data())
@examples(60)
def test_should_change_nothing_when_records_are_delivered_again_after_all_went_well(
    records: list[Record], way: Way, data: st.DataObject, stream: Stream
) -> None:
    way = way.on(stream)
    deployed = undisturbed(records, way.settings)
    alerts, told, lake = deployed.alerts, list(deployed.inbox), list(deployed.lake)
    start = data.draw(st.integers(0, len(records) - 1))
    end = data.draw(st.integers(start + 1, len(records)))
    run(deployed, records[start:end], way.settings, way.turns)
    assert (deployed.alerts, deployed.lake) == (alerts, lake)
    assert last_told(deployed.inbox) == last_told(told)


@on_each_stream
@given(records=streams(), way=ways, end=st.integers(0, 10))
@examples(60)
def test_should_tell_the_same_when_gateways_move_to_other_shards(
    records: list[Record], way: Way, end: int, stream: Stream
) -> None:
    """The stream is resharded after some records, or the topic gets partitions; the numbers there begin from below."""
    way = way.on(stream)
    moved = [record._replace(sequence=number, reshards=1) for number, record in enumerate(records[end:])]
    deployed = run(Deployed(RULES, way.faults), records[:end] + moved, way.settings, way.turns)
    assert deployed.given_up == []
    assert_same_outcome(deployed, undisturbed(records, way.settings))


@on_each_stream
@given(records=streams(poisoned=True), way=ways)
@examples(60)
def test_should_isolate_a_poison_record(records: list[Record], way: Way, stream: Stream) -> None:
    """A record whose gateway's state cannot be written, whatever the try."""
    few = way.on(stream).settings._replace(retries=len(way.faults) + 1, bisect=True)
    deployed = run(Deployed(RULES, way.faults), records, few, way.turns)
    poison = next(record for record in records if b"poison" in record.data)
    assert {given_up.condition for given_up in deployed.given_up} == {"RetryAttemptsExhausted"}
    # The poison's batch, in pieces where an error halved it when its tries had run out.
    given_up = [record for piece in deployed.given_up for record in piece.records]
    assert poison in given_up
    if stream == "kinesis":
        assert given_up[0] == poison
        assert given_up == [poison] or not few.halves_at_first
    elif few.only_failed:
        assert {record.key for record in given_up} == {poison.key}
    lost = [record for record in given_up if record.key == poison.key]
    expected = undisturbed([record for record in records if record not in lost], few)
    assert_same_outcome(deployed, expected)


@on_each_stream
def test_should_be_able_to_fail_in_every_sample_of_calls(stream: Stream) -> None:
    """Commit without an outbox, and a crash before the queue loses an alert."""
    behind = Settings(stream=stream)
    expected = undisturbed(BUSY, behind)

    def loses(case: tuple[int, Fault]) -> bool:
        deployed = Deployed(RULES, dict([case]), without_outbox=True)
        run(deployed, BUSY, behind)
        return changes(deployed.lake) != changes(expected.lake)

    for first in range(ONE_IN):
        assert any(map(loses, cases(expected)[first::ONE_IN]))


@on_each_stream
def test_should_fire_what_is_due_when_nothing_more_arrives(stream: Stream) -> None:
    pending = [Record(0, "a", lines(19, [("d1", 50, 20.0, 2.0, "ok")]), NOW)]
    deployed = undisturbed(pending, Settings(stream=stream))
    assert [(t["rule"], t["change"]) for t in deployed.lake] == [("battery-low", "pending"), ("battery-low", "firing")]
    assert [alert["status"] for notification in deployed.inbox for alert in notification["alerts"]] == ["firing"]
