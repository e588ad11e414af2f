"""Alerts against ground truth: what was found and what missed, what was told for nothing, how soon and how often."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from evaluation.matching import CLOCKS, GRACE, Told, Verdict, begun, judge, told
from pipeline.inbox import Received
from simulator.faults.truth import InjectedFault
from simulator.run.manifest import Manifest
from telemetry.alerting.transitions import Transition

#: What still goes on when a run ends is expected to have been told if it has gone on for so long: the slowest of the
#: default rules waits for ten minutes of silence, and the watchdog another two.
PATIENCE = dt.timedelta(minutes=15)

#: What a set of rules has to reach: precision and recall at least, notifications per fault at most.
WANTED, MOST_NOTIFICATIONS = 0.95, 1.0

#: The kind of what alerts fired for where nothing had been injected.
NOTHING = "nothing"

#: Turns a simulated time into that of whoever is told; None where there is no telling.
Clock = Callable[[dt.datetime], dt.datetime | None]


def wall_clock(run: Manifest) -> Clock:
    """Return the clock that says when simulated moments of a run were sent; of an unpaced run, nobody knows."""

    def sent_at(moment: dt.datetime) -> dt.datetime | None:
        return run.arrived_from + (moment - run.started_at) / run.speed if run.speed else None

    return sent_at


class Delays(msgspec.Struct, frozen=True):
    """Seconds from when something was injected: the median and the 95th percentile, by nearest rank; None for none."""

    p50: float | None
    p95: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one kind of fault, or of one rule.

    ``expected`` are pairs of a fault and a rule that should fire for it, ``found`` those for which it did;
    ``false`` are alerts that nothing explains. ``precision`` is found / (found + false), ``recall`` found / expected,
    both 1 where there was nothing to find. ``fires_after`` goes to the event time of the first alert, ``told_after`` to
    its notification. ``notifications`` are those that told of an alert about these faults for the first time, and
    ``per_fault`` that number for each fault that was found. ``false_resolves`` are alerts that ended while their
    fault went on.
    """

    expected: int
    found: int
    false: int
    precision: float
    recall: float
    fires_after: Delays
    told_after: Delays
    notifications: int
    per_fault: float = msgspec.field(name="a_incident")
    false_resolves: int


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result. ``confusion`` counts, by kind of fault, the rules that fired for it and, as ``missed``, the
    expected ones that did not; as ``quiet`` the faults that expect nothing and for which nothing fired.

    ``messages`` are all notifications, resolved and repeated ones too. ``missed`` and ``false`` list up to a hundred.
    """

    faults: int = msgspec.field(name="incidents")
    alerts: int
    messages: int
    total: Figures
    by_rule: dict[str, Figures]
    by_kind: dict[str, Figures]
    confusion: dict[str, dict[str, int]]
    missed: list[str]
    false: list[str]

    @property
    def good(self) -> bool:
        """Whether the rules reach what they have to."""
        total = self.total
        return total.precision >= WANTED and total.recall >= WANTED and total.per_fault <= MOST_NOTIFICATIONS


def score(
    faults: Sequence[InjectedFault],
    received: Sequence[Received],
    ended_at: dt.datetime,
    *,
    transitions: Iterable[Transition] = (),
    clock: Clock = lambda moment: moment,
    grace: dt.timedelta = GRACE,
) -> Score:
    """Hold notifications against the ground truth of a run that ended at ``ended_at`` (simulated time, UTC).

    ``transitions`` are those of the table ``alerts``, as far as they are known; without, alerts that a notification
    does not list count as not told. A fault that had no time to be told before the end (:func:`had_time`) is only
    expected to be where it was. ``clock`` turns simulated times into those of ``received``.
    """
    faults = sorted(faults, key=begun)
    alerts = told(received, transitions)
    verdicts = judge(faults, alerts, grace)
    found: defaultdict[tuple[str, str], list[Told]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.true and verdict.fault:
            found[verdict.fault.id, verdict.alert.rule].append(verdict.alert)
    expected = [
        (fault, rule)
        for fault in faults
        for rule in fault.expects
        if (fault.id, rule) in found or had_time(fault, ended_at, grace)
    ]
    false = [verdict for verdict in verdicts if not verdict.true]
    counting = _Counting(found, clock)
    rules = sorted({rule for _, rule in expected} | {verdict.alert.rule for verdict in verdicts})
    kinds = list(dict.fromkeys([*(fault.kind for fault in faults), *map(_kind, false)]))
    missed = [pair for pair in expected if (pair[0].id, pair[1]) not in found]
    return Score(
        faults=len(faults),
        alerts=len(alerts),
        messages=len({notification.notification_id for notification, _ in received}),
        total=counting.figures(expected, false),
        by_rule={
            rule: counting.figures(
                [pair for pair in expected if pair[1] == rule], [each for each in false if each.alert.rule == rule]
            )
            for rule in rules
        },
        by_kind={
            kind: counting.figures(
                [pair for pair in expected if pair[0].kind == kind], [each for each in false if _kind(each) == kind]
            )
            for kind in kinds
        },
        confusion=_confusion(faults, expected, found, false),
        missed=[f"{rule}: {fault.id}" for fault, rule in missed][:100],
        false=[
            f"{alert.rule}: {alert.device or alert.gateway} at {alert.fired_at:%H:%M:%S} ({_kind(verdict)})"
            for verdict in false
            for alert in [verdict.alert]
        ][:100],
    )


def had_time(fault: InjectedFault, ended_at: dt.datetime, grace: dt.timedelta = GRACE) -> bool:
    """Return whether a run that ended then was long enough to tell of a fault: it was over, or went on for long."""
    over = fault.until + grace <= ended_at
    return over or fault.since + max(grace, PATIENCE) <= ended_at


class _Counting:
    def __init__(self, found: dict[tuple[str, str], list[Told]], clock: Clock) -> None:
        self._found, self._clock = found, clock

    def figures(self, expected: Sequence[tuple[InjectedFault, str]], false: Sequence[Verdict]) -> Figures:
        hits = [(fault, self._found[fault.id, rule]) for fault, rule in expected if self._hit(fault, rule)]
        told_of = {fault.id for fault, _ in hits}
        notifications = {alert.notification for _, alerts in hits for alert in alerts}
        return Figures(
            expected=len(expected),
            found=len(hits),
            false=len(false),
            precision=_part(len(hits), len(hits) + len(false)),
            recall=_part(len(hits), len(expected)),
            fires_after=_delays((min(a.fired_at for a in alerts) - i.since).total_seconds() for i, alerts in hits),
            told_after=_delays(
                (min(alert.told_at for alert in alerts) - begin).total_seconds()
                for fault, alerts in hits
                if (begin := self._clock(fault.since))
            ),
            notifications=len(notifications),
            per_fault=round(len(notifications) / len(told_of), 3) if told_of else 0.0,
            false_resolves=sum(
                alert.resolved_at is not None and alert.resolved_at < fault.until - CLOCKS
                for fault, alerts in hits
                for alert in alerts
            ),
        )

    def _hit(self, fault: InjectedFault, rule: str) -> bool:
        return (fault.id, rule) in self._found


def _confusion(
    faults: Sequence[InjectedFault],
    expected: Sequence[tuple[InjectedFault, str]],
    found: Collection[tuple[str, str]],
    false: Iterable[Verdict],
) -> dict[str, dict[str, int]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for fault, rule in expected:
        counts[fault.kind][rule if (fault.id, rule) in found else "missed"] += 1
    disturbed = set()
    for verdict in false:
        counts[_kind(verdict)][verdict.alert.rule] += 1
        if verdict.fault:
            disturbed.add(verdict.fault.id)
    for fault in faults:
        if not fault.expects and fault.id not in disturbed:
            counts[fault.kind]["quiet"] += 1
    return {kind: dict(row) for kind, row in counts.items()}


def _kind(verdict: Verdict) -> str:
    return verdict.fault.kind if verdict.fault else NOTHING


def _part(some: int, of: int) -> float:
    return round(some / of, 4) if of else 1.0


def _delays(seconds: Iterable[float]) -> Delays:
    ordered = sorted(seconds)
    if not ordered:
        return Delays(None, None)
    return Delays(*(round(nearest_rank(ordered, q), 1) for q in (0.5, 0.95)))


def nearest_rank(ordered: Sequence[float], q: float) -> float:
    """Return the smallest of some values in order that at least the share ``q`` of them does not exceed."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]
