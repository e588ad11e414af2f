"""The rehearsal, held against the deployed functions on a fake AWS, and by hand where those cannot be exact."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.rehearsal import Rehearsal, rehearse
from pipeline.inbox import Received
from simulator.sinks.record import Record
from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import Notification
from telemetry.reading.codec import encode_batch
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from tests.eventsource import Record as StreamRecord
from tests.eventsource import Settings
from tests.unit.delivery.deployed import NOW, Deployed, bundled

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

#: Groups that wait long and short, that flap, escalate, repeat, share rules, and inhibit one another.
RULES = b"""
defaults: {group_wait: 5s, group_interval: 3m, repeat_interval: 4m}
inhibit:
  - {source: broken, target: battery-low, equal: [device]}
rules:
  - {name: too-hot, when: temperature > 40, clear: temperature < 38, for: 30s, severity: critical}
  - {name: hot-at-once, when: temperature > 45, flapping: {changes: 3, window: 2m}, group_by: [severity]}
  - {name: battery-low, when: battery < 2.4, clear: battery > 2.6, for: 20s, group_by: []}
  - {name: broken, when: status == fault, keep_firing_for: 10s, escalate: {after: 1m, to: page}, group_wait: 0s}
"""

SILENCE = b"""
inhibit:
  - {source: gateway-down, target: device-silent, equal: [gateway]}
rules:
  - {name: device-silent, when: no_data, for: 5m}
  - {name: gateway-down, when: no_data(gateway), for: 2m}
"""


def at(second: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=second)


def record(second: float, *readings: Reading, gateway: str = "gw") -> Record:
    return Record(gateway, encode_batch(readings), len(readings), at(second).timestamp())


def reading(
    second: float, temperature: float | None = 20.0, device: str = "d1", battery: float = 3.0, status: str = "ok"
) -> Reading:
    return Reading(
        device_id=device, site="s", ts=at(second), seq=int(second), temperature=temperature, battery=battery,
        status=status,  # type: ignore[arg-type]
    )  # fmt: skip


class Driven(Deployed):
    """The deployed functions, each at its time: a record when it arrives, messages as soon as they are visible."""

    def play(self, records: Sequence[Record], until: dt.datetime) -> None:
        minute = NOW
        for number, each in enumerate(records):
            now = dt.datetime.fromtimestamp(each.at, dt.UTC)
            minute = self._pass(minute, now)
            self.clock.now = now
            self.detector(Settings().event([StreamRecord(number, each.gateway, each.payload, now)]))
            self._deliver_messages()
        self._pass(minute, until)

    def _pass(self, minute: dt.datetime, until: dt.datetime) -> dt.datetime:
        """Up to then; ``minute`` is when the watchdog comes next."""
        while (now := min(minute, self._sqs.next_visible_at() or minute)) <= until:
            self.clock.now = now
            if minute == now:
                minute += MINUTE
                self._invoke("watchdog", {})
            self._deliver_messages()
        return minute


@pytest.fixture(scope="module", autouse=True)
def _bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with bundled(tmp_path_factory.mktemp("bundle"), RULES):
        yield


@st.composite
def streams(draw: st.DrawFn) -> list[Record]:
    """Records of two gateways in their order, on whole seconds, of devices that are heard through both."""
    second, sent = 0, []
    pauses = st.one_of(st.integers(0, 20), st.integers(20, 100), st.integers(100, 400))
    readings = st.builds(
        reading,
        second=st.integers(-90, 0),
        temperature=st.sampled_from([None, 20.0, 39.0, 41.0, 50.0, 50.0]),
        device=st.sampled_from(["d1", "d2", "d3"]),
        battery=st.sampled_from([2.0, 2.5, 3.0]),
        status=st.sampled_from(["ok", "ok", "fault"]),
    )
    for number in range(draw(st.integers(1, 30))):
        second += draw(pauses)
        found = [
            msgspec.structs.replace(each, ts=each.ts + second * SECOND, seq=number * 10 + place)
            for place, each in enumerate(draw(st.lists(readings, max_size=3)))
        ]
        sent.append(record(second, *found, gateway=draw(st.sampled_from("ab"))))
    return sent


def told(received: Sequence[Received]) -> list[Notification]:
    """The notifications, those of one moment in a fixed order."""
    return _ordered(each.notification for each in received)


def _ordered(notifications: Iterable[Notification]) -> list[Notification]:
    return sorted(notifications, key=lambda each: (each.published_at, each.notification_id))


def changes(transitions: Iterable[Transition]) -> list[Transition]:
    return sorted(transitions, key=lambda each: (each.recorded_at, each.alert_id, each.sequence))


def deployed_tells(
    rules: bytes, records: Sequence[Record], until: dt.datetime
) -> tuple[list[Notification], list[Transition]]:
    deployed = Driven(rules)
    deployed.play(records, until)
    inbox = _ordered(msgspec.convert(deployed.inbox, list[Notification]))
    return inbox, changes(msgspec.convert(deployed.lake, list[Transition]))


def play(rules: str, records: Sequence[Record], until: float) -> Rehearsal:
    """The rehearsal of records, to so many seconds after the beginning."""
    return rehearse(records, parse_rules(f"rules:\n  - {{{rules}}}\n"), at(until))


def summary(rehearsal: Rehearsal) -> list[tuple[float, str, int, int]]:
    """Of each notification: when, in seconds, the reason, and how many alerts fire and ended."""
    return [
        ((received_at - NOW).total_seconds(), each.reason, each.firing, each.resolved)
        for each, received_at in rehearsal.received
    ]


def events(rehearsal: Rehearsal) -> list[tuple[str, float]]:
    """Each change, and when it was decided, in seconds."""
    return [(each.change, (each.recorded_at - NOW).total_seconds()) for each in rehearsal.transitions]


@given(records=streams())
@settings(max_examples=40)
def test_should_tell_what_the_deployed_functions_tell(records: list[Record]) -> None:
    until = dt.datetime.fromtimestamp(records[-1].at, dt.UTC) + 10 * MINUTE
    inbox, lake = deployed_tells(RULES, records, until)
    rehearsed = rehearse(records, parse_rules(RULES), until)
    assert told(rehearsed.received) == inbox
    assert changes(rehearsed.transitions) == lake
    assert all(each.received_at == each.notification.published_at for each in rehearsed.received)


def test_should_tell_of_silence_what_the_deployed_functions_tell_within_a_minute() -> None:
    """What the watchdog reads of signs of life may be a minute old."""
    speaking = {"a": [*range(0, 400, 20), *range(900, 1500, 20)], "b": [*range(7, 1500, 20)]}
    devices = {"a": ["d1"], "b": ["d2"]}
    sent = sorted((second, gateway) for gateway, seconds in speaking.items() for second in seconds)
    records = [record(s, *(reading(s, device=name) for name in devices[gw]), gateway=gw) for s, gw in sent]
    records += [record(11 + 20 * n, reading(11 + 20 * n, device="d3"), gateway="b") for n in range(10)]
    records.sort(key=lambda each: each.at)
    inbox, lake = deployed_tells(SILENCE, records, at(1600))
    rehearsed = rehearse(records, parse_rules(SILENCE), at(1600))
    there, here = _by_alert(lake), _by_alert(rehearsed.transitions)
    assert [each[:-1] for each in here] == [each[:-1] for each in there]
    assert [each[4] for each in here] == ["firing", "resolved", "firing", "firing", "resolved"]
    assert all(abs(one[-1] - other[-1]) <= MINUTE for one, other in zip(here, there, strict=True))
    assert [(each.reason, each.rules) for each in told(rehearsed.received)] == [
        (each.reason, each.rules) for each in inbox
    ]


def _by_alert(transitions: Iterable[Transition]) -> list[tuple[str, str, str, int, str, dt.datetime]]:
    return sorted((t.rule, t.gateway, t.device, t.sequence, t.change, t.recorded_at) for t in transitions)


HOT = "name: hot, when: temperature > 40, for: 30s"


def test_should_let_a_reading_decide_that_a_condition_has_held_for_long_enough() -> None:
    hot = [record(second, reading(second, 50.0)) for second in (0, 20, 40)]
    rehearsed = play(HOT, hot, 59)
    assert events(rehearsed) == [("pending", 0.0), ("firing", 40.0)]
    assert summary(rehearsed) == [(45.0, "new", 1, 0)]


def test_should_let_the_clock_decide_on_a_whole_minute_where_no_reading_does() -> None:
    rehearsed = play(HOT, [record(1, reading(1, 50.0))], 120)
    assert events(rehearsed) == [("pending", 1.0), ("firing", 60.0)]
    assert summary(rehearsed) == [(65.0, "new", 1, 0)]


def test_should_look_at_each_whole_minute_up_to_the_end() -> None:
    records = [record(1, reading(1, 50.0))]
    assert [change for change, _ in events(play(HOT, records, 59))] == ["pending"]
    assert [change for change, _ in events(play(HOT, records, 60))] == ["pending", "firing"]


def test_should_tell_of_a_silent_gateway_and_not_of_its_devices() -> None:
    devices = [reading(0, device=f"d{number}") for number in range(5)]
    alive = [record(second, reading(second, device="e"), gateway="other") for second in range(0, 1800, 30)]
    records = sorted([record(0, *devices, gateway="gw"), *alive], key=lambda each: each.at)
    rehearsed = rehearse(records, parse_rules(SILENCE), at(1800))
    assert [(alert.rule, alert.gateway, alert.device) for each in rehearsed.received for alert in each[0].alerts] == [
        ("gateway-down", "gw", "")
    ]
    assert sum(each.rule == "device-silent" for each in rehearsed.transitions) == 5


def test_should_tell_of_a_silent_device_whose_gateway_speaks() -> None:
    records = [record(0, reading(0, device="d1")), *(record(s, reading(s, device="d2")) for s in range(0, 600, 30))]
    rehearsed = rehearse(records, parse_rules(SILENCE), at(600))
    # Five minutes, one for what may not be written yet, and the waiting of the group.
    assert [(each.rules, (when - NOW).total_seconds()) for each, when in rehearsed.received] == [
        (["device-silent"], 365.0)
    ]


def test_should_wait_twice_as_long_each_time_while_changes_go_on_coming() -> None:
    rule = "name: hot, when: temperature > 40, group_wait: 5s, group_interval: 1m"
    records = [record(second, reading(second, 50.0, device=f"d{second}")) for second in range(200)]
    moments = [moment for moment, *_ in summary(play(rule, records, 199))]
    assert [later - earlier for earlier, later in itertools.pairwise(moments)] == [10, 20, 40, 60, 60]
    assert moments[0] == 5


def test_should_repeat_what_still_fires() -> None:
    rule = "name: hot, when: temperature > 40, repeat_interval: 30m"
    rehearsed = play(rule, [record(0, reading(0, 50.0))], 2 * 3600)
    # The queue does not wait that long: the watchdog wakes the group at the next whole minute.
    assert summary(rehearsed) == [
        (5.0, "new", 1, 0), (1860.0, "repeat", 1, 0), (3660.0, "repeat", 1, 0), (5460.0, "repeat", 1, 0),
    ]  # fmt: skip


def test_should_tell_of_a_flapping_alert_once() -> None:
    rule = "name: hot, when: temperature > 40, flapping: {changes: 3, window: 30m}"
    records = [record(second, reading(second, 50.0 if second // 60 % 2 else 20.0)) for second in range(0, 1800, 60)]
    rehearsed = play(rule, records, 1800)
    assert [change for change, _ in events(rehearsed)] == ["firing", "resolved", "firing", "resolved", "flapping"]
    assert len({alert.alert_id for each in rehearsed.received for alert in each.notification.alerts}) == 3


def test_should_report_what_happened_in_the_order_of_time() -> None:
    seen: list[dt.datetime] = []
    records = [record(second, reading(second, 50.0, device=f"d{second % 7}")) for second in range(0, 2100, 2)]
    records = [each._replace(gateway="ab"[number % 2]) for number, each in enumerate(records)]
    rules = parse_rules(SILENCE + b"  - {name: hot, when: temperature > 40, for: 7s}\n")
    rehearsed = rehearse(records, rules, at(9000), seen.append)
    recorded = [each.recorded_at for each in rehearsed.transitions]
    received = [each.received_at for each in rehearsed.received]
    assert recorded == sorted(recorded)
    assert received == sorted(received)
    assert {each.change for each in rehearsed.transitions} >= {"pending", "firing"}
    assert seen == [at(0), at(2000)]


def test_should_rehearse_nothing() -> None:
    assert rehearse([], parse_rules(SILENCE), at(600)) == Rehearsal([], [])
