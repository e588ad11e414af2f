"""What each number of a score means, by small examples, and what holds of all of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.matching import CLOCKS, GRACE, judge, told
from evaluation.scoring import PATIENCE, Delays, Score, score, wall_clock
from pipeline.inbox import Received
from simulator.faults.truth import InjectedFault
from simulator.run.manifest import Manifest
from telemetry.alerting.transitions import Transition
from telemetry.notifying.message import Notification, notified
from tests.unit.notifier.samples import firing, then

NOON = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
END = NOON + dt.timedelta(hours=3)
SECOND = dt.timedelta(seconds=1)


def at(minutes: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minutes)


def fault(device: str = "d1", since: float = 10, until: float = 40, **fields: Any) -> InjectedFault:
    usual: dict[str, Any] = {
        "id": f"1-{fields.get('kind', 'drift')}-{device or fields.get('gateway', 'gw') or fields.get('site', 's1')}",
        "number": 1, "kind": "drift", "site": "s1", "gateway": "gw", "metric": "temperature", "expects": ("too-hot",),
    }  # fmt: skip
    return InjectedFault(**{**usual, **fields}, device=device, since=at(since), until=at(until))


def gateway_down(**fields: Any) -> InjectedFault:
    return fault("", **{"kind": "gateway_down", "metric": "", "expects": ("gateway-down",), **fields})


def site_outage(**fields: Any) -> InjectedFault:
    return gateway_down(**{"kind": "site_outage", "gateway": "", **fields})


def alert(device: str = "d1", minute: float = 12, *, rule: str = "too-hot", **fields: Any) -> Transition:
    """An alert that fired so many minutes after noon, by event time."""
    return firing(device, rule=rule, at=at(minute), fired_at=at(minute), **fields)


def ended(fired: Transition, minute: float) -> Transition:
    return then(fired, "resolved", changed_at=at(minute), recorded_at=at(minute))


def received(*about: Transition, minute: float | None = None, name: str = "", omitted: int = 0) -> Received:
    """A notification about these alerts, at a time, or as soon as the last has changed."""
    when = max(each.changed_at for each in about) if minute is None else at(minute)
    notification = Notification(
        notification_id=name or "-".join(each.alert_id for each in about), reason="new", state="firing",
        severity="warning", group={}, firing=len(about), resolved=0, at_least=False, summary="",
        rules=sorted({each.rule for each in about}), sites=sorted({each.site for each in about}),
        alerts=[notified(each) for each in about[: len(about) - omitted]], omitted=omitted, published_at=when,
    )  # fmt: skip
    return Received(notification, when)


def scored(faults: Iterable[InjectedFault], alerts: Iterable[Transition], end: dt.datetime = END, **more: Any) -> Score:
    """The score where each alert is told in a notification of its own."""
    return score(list(faults), [received(each) for each in alerts], end, **more)


def test_should_count_what_is_found_missed_and_told_for_nothing() -> None:
    faults = [fault("d1"), fault("d2"), fault("d3"), fault("d4")]
    result = scored(faults, [alert("d1"), alert("d2"), alert("d3"), alert("healthy")])
    total = result.total
    assert (total.expected, total.found, total.false) == (4, 3, 1)
    assert (total.precision, total.recall) == (0.75, 0.75)
    assert result.missed == ["too-hot: 1-drift-d4"]
    assert result.false == ["too-hot: healthy at 12:12:00 (nothing)"]
    assert (result.faults, result.alerts, result.messages) == (4, 4, 4)


def test_should_be_perfect_where_there_is_nothing_to_tell_and_nothing_is_told() -> None:
    total = scored([], []).total
    assert (total.precision, total.recall, total.per_fault) == (1.0, 1.0, 0.0)
    assert total.fires_after == total.told_after == Delays(None, None)


def test_should_expect_each_rule_of_a_fault() -> None:
    both = fault(expects=("too-hot", "broken"))
    result = scored([both], [alert(rule="broken")])
    assert (result.total.expected, result.total.found, result.total.recall) == (2, 1, 0.5)
    assert (result.by_rule["broken"].recall, result.by_rule["too-hot"].recall) == (1.0, 0.0)
    assert result.by_kind["drift"] == result.total


@pytest.mark.parametrize(
    ("place", "found"),
    [
        (fault("d1"), True),
        (fault("d2"), False),
        (fault("", gateway="gw"), True),
        (fault("", gateway="other"), False),
        (fault("", gateway="", site="s1"), True),
        (fault("", gateway="", site="other"), False),
    ],
)
def test_should_explain_an_alert_by_what_affected_its_device_its_gateway_or_its_site(
    place: InjectedFault, found: bool
) -> None:
    total = scored([place], [alert("d1")]).total
    assert (total.found, total.false) == ((1, 0) if found else (0, 1))


def test_should_not_explain_a_gateways_alert_by_what_affected_one_of_its_devices() -> None:
    total = scored([fault("d1", expects=("gateway-down",))], [alert("", rule="gateway-down")]).total
    assert (total.found, total.false) == (0, 1)


@pytest.mark.parametrize(
    ("fired", "found"),
    [
        (at(10), True),
        (at(10) - CLOCKS, True),
        (at(10) - CLOCKS - SECOND, False),
        (at(40) + GRACE, True),
        (at(40) + GRACE + SECOND, False),
    ],
)
def test_should_allow_for_wrong_clocks_and_for_what_lags_behind(fired: dt.datetime, found: bool) -> None:
    total = scored([fault(since=10, until=40)], [firing("d1", fired_at=fired)]).total
    assert (total.found, total.false) == ((1, 0) if found else (0, 1))


def test_should_take_the_grace_that_is_asked_for() -> None:
    late = [alert(minute=60)]
    assert scored([fault(until=40)], late).total.found == 0
    assert scored([fault(until=40)], late, grace=dt.timedelta(minutes=20)).total.found == 1


def test_should_count_a_tolerated_alert_neither_for_nor_against() -> None:
    outage = gateway_down(tolerates=("device-silent",))
    without = scored([outage], [alert("", rule="gateway-down")])
    result = scored([outage], [alert("", rule="gateway-down"), alert("d1", rule="device-silent")])
    assert result.total == without.total
    assert (result.alerts, without.alerts) == (2, 1)
    assert "device-silent" not in result.by_rule


def test_should_call_every_other_alert_in_an_fault_false_and_say_in_which() -> None:
    result = scored([fault()], [alert(), alert(rule="broken")])
    assert (result.total.found, result.total.false) == (1, 1)
    assert result.by_kind["drift"].false == 1
    assert result.false == ["broken: d1 at 12:12:00 (drift)"]


def clock(ahead: float, since: float = 30, until: float = 120) -> InjectedFault:
    return fault(kind="clock_skew", metric="", since=since, until=until, expects=(), details={"ahead": ahead * 60})


def test_should_find_an_alert_whose_times_are_those_of_a_wrong_clock() -> None:
    hot = fault(since=40, until=70)
    fired = alert(minute=41 - 300)
    result = score([clock(-300), hot], [received(fired, minute=42), received(ended(fired, 70 - 300), minute=72)], END)
    assert (result.total.found, result.total.false, result.total.false_resolves) == (1, 0, 0)
    assert result.total.fires_after.p50 == 60
    early = [received(fired, minute=42), received(ended(fired, 50 - 300), minute=52)]
    assert score([clock(-300), hot], early, END).total.false_resolves == 1


def test_should_put_right_only_what_the_wrong_clock_can_have_said() -> None:
    fired = alert(minute=41 - 300)
    for wrong in (clock(-300, since=50), clock(-300, until=40), clock(-120)):
        assert scored([wrong, fault(since=40, until=70)], [fired]).total.found == 0
    # Refused by the clock of the pipeline, and not by that of the device.
    refused = fault(kind="clock_skew", metric="", since=30, expects=("clock-wrong",), details={"ahead": 900})
    assert scored([refused], [alert(rule="clock-wrong", minute=31)]).total.found == 1


def test_should_not_call_an_end_early_whose_time_says_only_that_the_clock_was_set_back() -> None:
    fired = alert(minute=25)
    told_of = [received(fired), received(ended(fired, 25), minute=40)]
    assert score([clock(-60), fault(since=20, until=31)], told_of, END).total.false_resolves == 0
    assert score([clock(-60), fault(since=20, until=90)], told_of, END).total.false_resolves == 1


@pytest.mark.parametrize(("end", "false"), [(None, 1), (30, 1), (20, 0)])
def test_should_call_a_second_alert_of_a_device_false_while_the_first_goes_on(end: float | None, false: int) -> None:
    first, second = alert(minute=12, gateway="gw"), alert(minute=20, gateway="other")
    told_of = [received(first), received(second), *([received(ended(first, end))] if end else [])]
    result = score([fault()], told_of, END)
    assert (result.total.found, result.total.false) == (1, false)
    assert scored([fault()], [first, alert(minute=20, rule="broken")]).false == ["broken: d1 at 12:20:00 (drift)"]


def test_should_prefer_the_fault_that_expects_to_the_one_that_tolerates_and_the_last_that_began() -> None:
    expecting, younger = fault(id="a", since=10), fault(id="b", since=11)
    tolerating = fault(id="c", since=11.5, expects=(), tolerates=("too-hot",))
    quiet = fault(id="d", since=11.8, expects=())
    one = told([received(alert())])

    def about(*faults: InjectedFault) -> list[tuple[str, bool]]:
        return [(verdict.fault.id if verdict.fault else "", verdict.true) for verdict in judge(faults, one)]

    assert about(expecting, tolerating, quiet) == [("a", True)]
    assert about(expecting, younger, quiet) == [("b", True)]
    assert about(tolerating, quiet) == []
    assert about(quiet) == [("d", False)]
    assert about() == [("", False)]


def test_should_explain_a_false_alert_by_changed_values_rather_than_by_damaged_lines() -> None:
    spike = fault(kind="spike", since=10, expects=())
    late = fault(kind="late", metric="", since=11, expects=())
    assert scored([spike, late], [alert()]).confusion == {"spike": {"too-hot": 1}, "late": {"quiet": 1}}


def test_should_find_what_affects_many_once_however_many_alerts_tell_of_it() -> None:
    alerts = [alert("", rule="gateway-down", gateway=f"gw-{number}") for number in range(5)]
    result = score([site_outage()], [received(*alerts)], END)
    assert (result.total.expected, result.total.found, result.total.false) == (1, 1, 0)
    assert (result.total.notifications, result.total.per_fault, result.alerts) == (1, 1.0, 5)


def test_should_measure_the_first_of_several_alerts_about_a_fault() -> None:
    first, second = alert(minute=12), alert(minute=20)
    result = score([fault()], [received(second), received(first, minute=13), received(ended(first, 15))], END)
    assert (result.total.found, result.alerts, result.total.notifications) == (1, 2, 2)
    assert result.total.fires_after == Delays(120.0, 120.0)
    assert result.total.told_after == Delays(180.0, 180.0)


def test_should_count_an_alert_that_is_told_again_once_and_when_it_was_told_first() -> None:
    fired = alert()
    repeated = [received(fired, minute=200, name="repeat"), received(fired, minute=13, name="first")]
    result = score([fault()], repeated, END)
    assert (result.alerts, result.messages, result.total.notifications) == (1, 2, 1)
    assert result.total.told_after.p50 == 180
    assert [each.notification for each in told(repeated)] == ["first"]


def test_should_count_a_message_that_comes_twice_once() -> None:
    assert score([fault()], [received(alert()), received(alert(), minute=14)], END).messages == 1


def test_should_count_notifications_for_each_fault_that_was_found() -> None:
    hot = [alert(f"d{number}") for number in range(4)]
    faults = [*(fault(f"d{number}") for number in range(4)), fault("missed")]
    result = score(faults, [received(*hot[:3]), received(hot[3]), received(alert("healthy"))], END)
    assert (result.total.notifications, result.total.per_fault, result.messages) == (2, 0.5, 3)


def test_should_count_the_notifications_of_an_fault_that_several_rules_tell_of_together() -> None:
    both = fault(expects=("too-hot", "broken"))
    assert scored([both], [alert(), alert(rule="broken")]).total.per_fault == 2.0


def test_should_measure_delays_by_nearest_rank() -> None:
    faults = [fault(f"d{number}") for number in range(40)]
    result = scored(faults, [alert(f"d{number}", minute=11 + number / 2) for number in range(40)])
    assert result.total.fires_after == Delays(p50=60 + 19 * 30, p95=60 + 37 * 30)


def test_should_measure_by_the_clock_of_whoever_is_told() -> None:
    run = Manifest(
        scenario="s", seed=0, devices=1, gateways=1, speed=60.0, started_at=NOON, ended_at=END,
        arrived_from=END, arrived_to=END, sent=0, duplicates=0, malformed=0, late=0, reordered=0, refused=0,
        retried=0, refusal="", by_device={},
    )  # fmt: skip
    # Ten simulated minutes take ten seconds.
    told_at = (END - NOON).total_seconds() / 60 + 0.5
    total = score([fault(since=10)], [received(alert(), minute=told_at)], END, clock=wall_clock(run)).total
    assert total.told_after.p50 == 20.0
    assert total.fires_after.p50 == 120.0
    unpaced = wall_clock(msgspec.structs.replace(run, speed=0.0))
    assert score([fault()], [received(alert())], END, clock=unpaced).total.told_after == Delays(None, None)


def test_should_learn_from_transitions_which_alerts_a_notification_does_not_list() -> None:
    alerts = [alert(f"d{number}") for number in range(5)]
    faults = [fault(f"d{number}") for number in range(5)]
    long = received(*alerts, minute=13, omitted=3)
    assert score(faults, [long], END).total.found == 2
    result = score(faults, [long], END, transitions=alerts)
    assert (result.total.found, result.total.notifications, result.alerts) == (5, 1, 5)
    assert result.total.told_after == Delays(180.0, 180.0)


def test_should_take_only_a_notification_that_can_have_told_of_it() -> None:
    listed, unlisted = alert("d1"), alert("d2", minute=20)
    elsewhere, other = alert("d3", site="s2"), alert("d4", rule="broken")
    omits = received(listed, alert("d9"), minute=13, omitted=1)

    def devices(*found: Received) -> set[str]:
        return {each.device for each in told(found, [listed, unlisted, elsewhere, other])}

    assert devices(received(listed, minute=30)) == {"d1"}
    assert devices(omits) == {"d1"}
    assert devices(omits, received(listed, alert("d9"), minute=30, name="later", omitted=1)) == {"d1", "d2"}


def test_should_tell_an_omitted_alert_by_the_first_notification_after_it() -> None:
    pair = (alert("d1"), alert("d2"))
    notifications = [received(*pair, minute=minute, name=f"at {minute}", omitted=1) for minute in (50, 11, 30)]
    assert {each.notification for each in told(notifications, pair) if each.device == "d2"} == {"at 30"}


def test_should_go_by_when_an_omitted_alert_fired_not_by_its_end() -> None:
    fired = alert("d2")
    pair = (alert("d1"), fired)
    notifications = [received(*pair, minute=minute, name=f"at {minute}", omitted=1) for minute in (13, 50)]
    found = told(notifications, [ended(fired, 30), fired])
    assert [(each.device, each.notification, each.resolved_at) for each in found if each.device == "d2"] == [
        ("d2", "at 13", at(30))
    ]


def test_should_not_call_what_is_only_pending_told() -> None:
    pending = firing("d2", at=at(12), change="pending", status="pending", fired_at=None)
    assert [each.device for each in told([received(alert(), pending, minute=13, omitted=1)], [pending])] == ["d1"]


@pytest.mark.parametrize(
    ("resolved", "false"), [(at(40) - CLOCKS - SECOND, 1), (at(40) - CLOCKS, 0), (at(45), 0), (None, 0)]
)
def test_should_count_alerts_that_ended_while_their_fault_went_on(resolved: dt.datetime | None, false: int) -> None:
    fired = alert()
    over = [then(fired, "resolved", changed_at=resolved, recorded_at=resolved)] if resolved else []
    result = score([fault(until=40)], [received(each) for each in (fired, *over)], END)
    assert result.total.false_resolves == false
    # The same by the transitions, where no notification says so.
    assert score([fault(until=40)], [received(fired)], END, transitions=over).total.false_resolves == false


def test_should_hear_of_an_alert_that_was_over_before_it_could_be_told() -> None:
    assert scored([fault()], [ended(alert(), 14)]).total.found == 1


def test_should_not_expect_what_was_hardly_over_at_the_end_but_count_it_if_it_was_told() -> None:
    young = fault("d1", since=10, until=14)
    assert scored([young], [], at(14) + GRACE).total.expected == 1
    assert scored([young], [], at(14) + GRACE - SECOND).total.expected == 0
    assert scored([young], [alert()], at(14) + GRACE - SECOND).total.recall == 1.0
    assert scored([young], [alert()], at(14) + GRACE - SECOND).total.found == 1


def test_should_expect_what_goes_on_at_the_end_only_where_the_slowest_rule_had_time() -> None:
    def cut(end: dt.datetime) -> InjectedFault:
        return msgspec.structs.replace(fault("d1", since=10), until=end)

    long_enough = at(10) + PATIENCE
    assert scored([cut(long_enough)], [], long_enough).total.expected == 1
    assert scored([cut(long_enough - SECOND)], [], long_enough - SECOND).total.expected == 0


def test_should_show_what_was_confused_with_what() -> None:
    faults = [
        fault("d1"), fault("d2"), fault("d3", kind="spike", expects=()),
        fault("d4", kind="spike", expects=()), gateway_down(), fault("d5", kind="noise", expects=()),
    ]  # fmt: skip
    alerts = [alert("d1"), alert("d3"), alert("d3", minute=20), alert("", rule="gateway-down")]
    assert scored(faults, [*alerts, alert("healthy", minute=80)]).confusion == {
        "drift": {"too-hot": 1, "missed": 1},
        "spike": {"too-hot": 2, "quiet": 1},
        "gateway_down": {"gateway-down": 1},
        "noise": {"quiet": 1},
        "nothing": {"too-hot": 1},
    }


def test_should_have_figures_of_rules_and_kinds_that_only_told_for_nothing() -> None:
    result = scored([], [alert(rule="broken")])
    assert (result.by_rule["broken"].precision, result.by_kind["nothing"].false) == (0.0, 1)


def test_should_list_no_more_than_a_hundred() -> None:
    result = scored([fault(f"d{n}") for n in range(150)], [alert(f"healthy{n}") for n in range(150)])
    assert (len(result.missed), len(result.false), result.total.false) == (100, 100, 150)


@pytest.mark.parametrize(
    ("missed", "false", "good"), [(0, 0, True), (1, 0, True), (0, 1, True), (2, 0, False), (0, 2, False)]
)
def test_should_be_good_up_to_one_in_twenty_missed_or_false(missed: int, false: int, good: bool) -> None:
    found = 20 - max(missed, false)
    faults = [fault(f"d{number}") for number in range(found + missed)]
    alerts = [alert(f"d{number}") for number in range(found)] + [alert(f"healthy{number}") for number in range(false)]
    assert scored(faults, alerts).good is good


def test_should_be_good_up_to_a_notification_a_fault() -> None:
    assert scored([fault()], [alert()]).good
    assert not scored([fault()], [alert(), alert(minute=20)]).good


# What holds of all of them

PLACES = [f"d{number}" for number in range(12)]


class Run(NamedTuple):
    """Faults, one a device at most, and the alerts that tell of all of them."""

    faults: list[InjectedFault]
    alerts: list[Transition]


@st.composite
def runs(draw: st.DrawFn) -> Run:
    faults, alerts = [], []
    for number, device in enumerate(draw(st.lists(st.sampled_from(PLACES), min_size=1, unique=True)), 1):
        since = draw(st.integers(0, 100))
        until = since + draw(st.integers(1, 60))
        expects = draw(st.lists(st.sampled_from(["too-hot", "broken", "battery-low"]), max_size=2, unique=True))
        kind = draw(st.sampled_from(["drift", "step", "spike"]))
        faults.append(fault(device, since, until, id=f"{number}", number=number, kind=kind, expects=tuple(expects)))
        for rule in expects:
            fired = alert(device, draw(st.integers(since, until)), rule=rule)
            alerts += [fired, ended(fired, until)] if draw(st.booleans()) else [fired]
    return Run(faults, alerts)


def grouped(alerts: Sequence[Transition], size: int = 3) -> list[Received]:
    return [received(*alerts[start : start + size]) for start in range(0, len(alerts), size)]


@given(runs())
def test_should_score_one_for_perfect_telling(run: Run) -> None:
    result = score(run.faults, grouped(run.alerts), END)
    total = result.total
    assert total.expected == total.found == sum(len(each.expects) for each in run.faults)
    assert (total.precision, total.recall, total.false, total.false_resolves) == (1.0, 1.0, 0, 0)
    assert result.missed == result.false == []
    assert set(result.confusion) == {each.kind for each in run.faults}


@given(runs(), st.data())
def test_should_lose_exactly_as_much_recall_as_is_not_told(run: Run, data: st.DataObject) -> None:
    pairs = sorted({(each.device, each.rule) for each in run.alerts})
    untold = set(data.draw(st.lists(st.sampled_from(pairs), unique=True))) if pairs else set()
    left = [each for each in run.alerts if (each.device, each.rule) not in untold]
    total = score(run.faults, grouped(left), END).total
    assert (total.expected, total.found) == (len(pairs), len(pairs) - len(untold))
    assert total.recall == (round(1 - len(untold) / len(pairs), 4) if pairs else 1.0)
    assert (total.precision, total.false) == (1.0, 0)


@given(runs(), st.integers(1, 20))
def test_should_lose_precision_and_nothing_else_by_alerts_at_healthy_devices(run: Run, more: int) -> None:
    before = score(run.faults, grouped(run.alerts), END).total
    false = [alert(f"healthy{number}", number) for number in range(more)]
    after = score(run.faults, grouped(run.alerts) + grouped(false), END).total
    assert after.precision == round(before.found / (before.found + more), 4)
    assert after == msgspec.structs.replace(before, false=more, precision=after.precision)


@given(runs(), st.lists(st.sampled_from(PLACES)), st.randoms())
def test_should_not_mind_the_order_of_what_it_is_given(run: Run, false: list[str], random: Any) -> None:
    faults, told_of = list(run.faults), grouped([*run.alerts, *(alert(device, 30) for device in false)])
    wide = [gateway_down(id="90", since=20), site_outage(id="91", since=20, tolerates=("broken",))]
    transitions = list(run.alerts)
    faults += wide
    before = score(faults, told_of, END, transitions=transitions)
    for each in (faults, told_of, transitions):
        random.shuffle(each)
    assert score(faults, told_of, END, transitions=transitions) == before


@given(runs())
def test_should_make_the_whole_of_its_parts(run: Run) -> None:
    result = score(run.faults, grouped([*run.alerts, alert("healthy")]), END)
    for parts in (result.by_rule.values(), result.by_kind.values()):
        for name in ("expected", "found", "false", "false_resolves"):
            assert sum(getattr(part, name) for part in parts) == getattr(result.total, name)
