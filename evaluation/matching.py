"""Which injected fault each alert is about: the alerts that notifications report, matched with the ground truth."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pipeline.inbox import Received
from simulator.faults.truth import InjectedFault
from simulator.scenario.faults import ClockSkew
from telemetry.alerting.transitions import Transition

#: An alert may fire so long after what it is about is over: a window and ``for`` lag behind, the clock decides a minute
#: late, and readings that were held back arrive later still.
GRACE = dt.timedelta(minutes=5)

#: Devices' clocks may be ahead or behind by this, so that an alert seems to fire before its cause. Of clocks that are
#: wrong by more, the ground truth says by how much.
CLOCKS = dt.timedelta(minutes=2)


class Told(NamedTuple):
    """An alert that subscribers were told of as firing; times are UTC.

    ``fired_at`` and ``resolved_at`` are event times, ``told_at`` is when the first notification about it came, of which
    ``notification`` is the id.
    """

    alert_id: str
    rule: str
    site: str
    gateway: str
    device: str
    fired_at: dt.datetime
    resolved_at: dt.datetime | None
    told_at: dt.datetime
    notification: str


class Verdict(NamedTuple):
    """Match of one alert: the fault that it reports, or that affected its place then; ``true`` if it was expected."""

    alert: Told
    fault: InjectedFault | None
    true: bool


def told(received: Sequence[Received], transitions: Iterable[Transition] = ()) -> list[Told]:
    """Return the alerts that notifications told of, each once, in the order in which they fired.

    A notification lists a hundred alerts and counts the others as ``omitted``: which these are, ``transitions`` say.
    An alert that fired and is in no list is told by the first notification of its rule and site that omits any and was
    published after that.
    """
    first: dict[str, Told] = {}
    ends: dict[str, dt.datetime] = {}
    for notification, received_at in sorted(received, key=_order):
        for alert in notification.alerts:
            if alert.fired_at is None:
                continue
            if alert.resolved_at:
                ends[alert.alert_id] = alert.resolved_at
            first.setdefault(
                alert.alert_id,
                Told(
                    alert.alert_id,
                    alert.rule,
                    alert.site,
                    alert.gateway,
                    alert.device,
                    alert.fired_at,
                    None,
                    received_at,
                    notification.notification_id,
                ),
            )
    omitting = _Omitting(received)
    for transition in transitions:
        if transition.change == "resolved":
            ends[transition.alert_id] = transition.changed_at
        if transition.change in ("firing", "flapping") and transition.alert_id not in first:
            by = omitting.first(transition)
            if by and transition.fired_at:
                first[transition.alert_id] = Told(
                    transition.alert_id,
                    transition.rule,
                    transition.site,
                    transition.gateway,
                    transition.device,
                    transition.fired_at,
                    None,
                    by.received_at,
                    by.notification.notification_id,
                )
    found = [alert._replace(resolved_at=ends.get(alert.alert_id)) for alert in first.values()]
    return sorted(found, key=lambda alert: (alert.fired_at, alert.alert_id))


def _order(each: Received) -> tuple[dt.datetime, dt.datetime, str]:
    """Queues and topics keep none."""
    return each.received_at, each.notification.published_at, each.notification.notification_id


class _Omitting:
    """The notifications that do not list all that they are about."""

    def __init__(self, received: Iterable[Received]) -> None:
        self._by_place: defaultdict[tuple[str, str], list[Received]] = defaultdict(list)
        for each in received:
            if each.notification.omitted:
                for rule in each.notification.rules:
                    for site in each.notification.sites:
                        self._by_place[rule, site].append(each)

    def first(self, transition: Transition) -> Received | None:
        """Return the first one that can tell of it."""
        near = self._by_place.get((transition.rule, transition.site), ())
        after = (each for each in near if each.notification.published_at >= transition.recorded_at)
        return min(after, key=lambda each: (each.notification.published_at, *_order(each)), default=None)


def judge(faults: Sequence[InjectedFault], alerts: Iterable[Told], grace: dt.timedelta = GRACE) -> list[Verdict]:
    """Find which fault each alert is about; one that is only tolerated is left out.

    An alert is about a fault of its place (its device, its gateway or its site) that began before it fired and was
    not over for longer than ``grace``. Of several the one that expects its rule, then the one that tolerates it, then
    the last that began. The verdict has the alert with its times by a right clock, as far as they are known.

    A device has one alert of a rule: a second one that begins before the end of the first is false.
    """
    places = _Places(faults)
    verdicts = []
    going_on: dict[tuple[str, str], Told] = {}
    for each in alerts:
        possible = [(alert, places.near(alert, grace)) for alert in places.by_right_clock(each)]
        alert, near = next((pair for pair in possible if _expecting(*pair)), possible[-1])
        if expecting := _expecting(alert, near):
            before = going_on.get((alert.device, alert.rule))
            twice = before is not None and bool(alert.device) and _overlap(before, alert)
            going_on[alert.device, alert.rule] = alert
            verdicts.append(Verdict(alert, max(expecting, key=begun), true=not twice))
        elif not any(alert.rule in fault.tolerates for _, faults in possible for fault in faults):
            verdicts.append(Verdict(alert, max(near, key=_weight, default=None), true=False))
    return verdicts


def _expecting(alert: Told, faults: Iterable[InjectedFault]) -> list[InjectedFault]:
    return [fault for fault in faults if alert.rule in fault.expects]


def _overlap(one: Told, other: Told) -> bool:
    first, second = sorted((one, other), key=lambda alert: alert.fired_at)
    return first.resolved_at is None or first.resolved_at > second.fired_at


def begun(fault: InjectedFault) -> tuple[dt.datetime, int, str]:
    """Faults in the order of time; of the same time, in that of the scenario."""
    return fault.since, fault.number, fault.id


def _weight(fault: InjectedFault) -> tuple[bool, tuple[dt.datetime, int, str]]:
    """Rank faults: one that changes values explains a false alert sooner than one that affects lines."""
    return bool(fault.metric), begun(fault)


class _Places:
    """The faults by what they affect."""

    def __init__(self, faults: Iterable[InjectedFault]) -> None:
        self._by_place: defaultdict[tuple[str, str], list[InjectedFault]] = defaultdict(list)
        self._clocks: defaultdict[str, list[InjectedFault]] = defaultdict(list)
        for fault in faults:
            if fault.kind == _WRONG_CLOCK and abs(_ahead(fault)) > CLOCKS:
                self._clocks[fault.device].append(fault)
            kind = "device" if fault.device else "gateway" if fault.gateway else "site"
            self._by_place[kind, fault.device or fault.gateway or fault.site].append(fault)

    def near(self, alert: Told, grace: dt.timedelta) -> list[InjectedFault]:
        """Return the faults of the alert's place that it may be about."""
        of = self._by_place
        faults = [
            *of.get(("device", alert.device), ()),
            *of.get(("gateway", alert.gateway), ()),
            *of.get(("site", alert.site), ()),
        ]
        return [fault for fault in faults if fault.since - CLOCKS <= alert.fired_at <= fault.until + grace]

    def by_right_clock(self, alert: Told) -> Iterator[Told]:
        """Yield the alert, and the same with other times for each wrong clock that may have said when it fired."""
        clocks = self._clocks.get(alert.device, ())
        after = [clock for clock in clocks if alert.fired_at < clock.since]
        if after and alert.resolved_at and alert.resolved_at <= alert.fired_at:
            # A clock that was set back ends an alert when it fired, to say nothing earlier: it ended after that.
            yield alert._replace(resolved_at=min(clock.since for clock in after))
        else:
            yield alert
        for clock in clocks:
            fired_at = alert.fired_at - _ahead(clock)
            if clock.since <= fired_at <= clock.until:
                ended = alert.resolved_at and alert.resolved_at - _ahead(clock)
                resolved_at = ended if ended and ended <= clock.until else alert.resolved_at
                yield alert._replace(fired_at=fired_at, resolved_at=resolved_at)


#: The kind of fault that makes a device's event times wrong.
_WRONG_CLOCK = str(ClockSkew.__struct_config__.tag)


def _ahead(clock: InjectedFault) -> dt.timedelta:
    return dt.timedelta(seconds=float(clock.details["ahead"]))
