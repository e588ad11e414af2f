"""Changes of a home's state: the new state, and the transitions that report them. The machine decides on them."""

from __future__ import annotations

import datetime as dt
from typing import Literal, NamedTuple, Optional, TypeVar

import msgspec

from telemetry.alerting import wording
from telemetry.alerting.state import BY_ARRIVAL, AlertState, GatewayState, PastAlert
from telemetry.alerting.transitions import AlertStatus, Change, Transition
from telemetry.alerting.wording import Words
from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_LATENESS
from telemetry.rules.rule_set import Rule, RuleSet

#: Interval at which past alerts that no longer matter are removed.
_SWEEP_EVERY = dt.timedelta(hours=1)

_ZERO = dt.timedelta(0)
_T = TypeVar("_T")
_replace = msgspec.structs.replace


class Step(NamedTuple):
    """The time between two readings of a device: by its own clock, and by the stream's."""

    event: dt.timedelta
    taken: dt.timedelta

    def jump(self, duration: dt.timedelta) -> dt.timedelta:
        """Return how far the device's clock jumped, if it went back, or ahead by a ``duration`` that has not passed."""
        if self.event >= _ZERO and (self.event < duration or self.taken >= duration):
            return _ZERO
        return self.event - self.taken


class Moment(NamedTuple):
    """The time of a decision: ``at`` by the clock, ``ts`` and ``seq`` by the reading that decides it.

    Where the clock decides, ``ts`` is the clock's too and ``seq`` is None. ``taken`` is when the reading was taken and
    ``next_batch`` when the device's next one is due if it sends several at once, both by the stream's clock. ``step``
    is the time since the device's reading before, where that is known.
    """

    at: dt.datetime
    ts: dt.datetime
    seq: Optional[int] = None
    taken: Optional[dt.datetime] = None
    next_batch: Optional[dt.datetime] = None
    step: Optional[Step] = None

    @property
    def since(self) -> dt.datetime:
        """When the phase that the decision begins began, by the stream's clock."""
        return self.taken or self.at

    def is_late(self, last: AlertState | PastAlert) -> bool:
        """Return whether the reading is not newer than the one that changed an alert last."""
        return self.seq is not None and self.ts <= last.changed_at and self.seq <= last.changed_seq


class Changes:
    """A home's state to work on; what does not change is shared with the original."""

    def __init__(self, rules: RuleSet, state: GatewayState) -> None:
        self.rules = rules
        self.before = state
        self.alerts = state.alerts
        self.past = state.past
        self.holds = state.holds
        self.transitions: list[Transition] = []

    def after(self, now: dt.datetime) -> GatewayState:
        """Return the state as it is now; the original object where nothing changed."""
        old = self.before
        if self.alerts is old.alerts and self.past is old.past and self.holds is old.holds:
            return old
        past, swept_at = self.past, old.swept_at
        if swept_at is None or now - swept_at >= _SWEEP_EVERY:
            past, swept_at = _remembered(past, now), now
        return _replace(
            old,
            alerts=self.alerts,
            past=past,
            holds=self.holds,
            due=min(self._timers(), default=None),
            swept_at=swept_at,
        )

    def put(self, device: str, name: str, alert: AlertState) -> None:
        """Store an active alert without reporting it."""
        self.alerts = _with(self.alerts, device, name, alert)

    def touch(self, device: str, name: str, alert: AlertState, moment: Moment) -> AlertState:
        """Store an active alert that a reading changed, without reporting it; return it as it is stored."""
        alert = touched(alert, moment)
        self.put(device, name, alert)
        return alert

    def gateway_of(self, alert: AlertState) -> str:
        """Return the gateway through which the device was heard when the alert began."""
        return alert.gateway or self.before.gateway

    def withdraw(
        self,
        device: str,
        name: str,
        moment: Moment,
        reason: str = "the rule no longer watches it",
        *,
        who: str = "",
        why: str = "",
    ) -> None:
        """End an alert for a reason that is not in its readings; a late reading does not."""
        alert = self.alerts[device][name]
        if moment.is_late(alert):
            return
        words = wording.describe_withdrawn(name, alert, reason, where=device or self.before.gateway)
        ended = _replace(alert, sequence=alert.sequence + 1)
        if alert.changed_seq == BY_ARRIVAL:  # silence counts from now on
            ended = _replace(ended, changed_at=max(alert.changed_at, moment.at))
        else:
            ended = touched(ended, moment)
        self.finish(device, name, ended, words=words, moment=moment, changes=(), who=who, why=why)

    def believe_past(self, now: dt.datetime) -> None:
        """Correct the ends of alerts that arrivals decide: whoever ended them had a clock that was ahead.

        Silence would count only from then on.
        """
        latest = now + MAX_CLOCK_SKEW
        ahead = [
            (device, name, alert)
            for device, by_rule in self.past.items()
            for name, alert in by_rule.items()
            if alert.changed_seq == BY_ARRIVAL and alert.changed_at > latest
        ]
        for device, name, alert in ahead:
            self.past = _with(self.past, device, name, _replace(alert, changed_at=now))

    def forget(self, device: str) -> None:
        """Remove what is left of a device that has no active alerts: past alerts and holds."""
        self.past = {name: by_rule for name, by_rule in self.past.items() if name != device}
        self.holds = {name: by_rule for name, by_rule in self.holds.items() if name != device}

    def release(self, device: str, name: str, change: Change, moment: Moment, *, who: str = "", why: str = "") -> None:
        """End the hold of an alert, active or not."""
        self.holds = _without(self.holds, device, name)
        self.note(device, name, change, moment, who=who, why=why)

    def note(self, device: str, name: str, change: Change, moment: Moment, *, who: str = "", why: str = "") -> None:
        """Report what an operator did to an alert, active or not."""
        alert, rule = self.alerts.get(device, {}).get(name), self.rules.named(name)
        if alert is None:
            severity = rule.severity if rule else "info"
            nothing = AlertState("pending", "", 0, severity, "", moment.ts, moment.ts, 0)
            self._report(
                device, name, nothing, change, status="inactive", words=Words(), moment=moment, who=who, why=why
            )
            return
        noted = _replace(alert, sequence=alert.sequence + 1)
        self.put(device, name, noted)
        words = self._words(rule, device, noted) if rule else Words()
        self._report(device, name, noted, change, status=noted.status, words=words, moment=moment, who=who, why=why)

    def change(self, rule: Rule, device: str, alert: AlertState, change: Change, moment: Moment) -> None:
        """Store an active alert and report its change."""
        alert = self.touch(device, rule.name, _replace(alert, sequence=alert.sequence + 1), moment)
        words = self._words(rule, device, alert)
        self._report(device, rule.name, alert, change, status=alert.status, words=words, moment=moment)

    def _words(self, rule: Rule, device: str, alert: AlertState) -> Words:
        return wording.describe_active(rule, alert, device=device, gateway=self.gateway_of(alert))

    def finish(
        self,
        device: str,
        name: str,
        alert: AlertState,
        *,
        words: Words,
        moment: Moment,
        changes: tuple[dt.datetime, ...],
        who: str = "",
        why: str = "",
    ) -> None:
        """Remove an alert that has ended and report that; its ``changes`` still count for flapping."""
        status: Literal["resolved", "inactive"] = "resolved" if alert.status == "firing" else "inactive"
        # Fired by the clock and ended by a reading taken before; or begun by a device whose clock is ahead of ours.
        moment = moment._replace(ts=max(moment.ts, alert.fired_at or alert.active_at))
        self._report(device, name, alert, status, status=status, words=words, moment=moment, who=who, why=why)
        self.alerts = _without(self.alerts, device, name)
        self.past = _with(self.past, device, name, PastAlert(alert.changed_at, alert.changed_seq, changes))
        hold = self.holds.get(device, {}).get(name)
        if hold and hold.kind == "acknowledged":
            self.holds = _without(self.holds, device, name)

    def _report(
        self,
        device: str,
        name: str,
        alert: AlertState,
        change: Change,
        *,
        status: AlertStatus,
        words: Words,
        moment: Moment,
        who: str = "",
        why: str = "",
    ) -> None:
        hold = self.holds.get(device, {}).get(name)
        self.transitions.append(
            Transition(
                alert_id=alert.alert_id,
                sequence=alert.sequence,
                change=change,
                status=status,
                rule=name,
                severity=alert.severity,
                device=device,
                site=alert.site,
                gateway=self.gateway_of(alert),
                held=hold.kind if hold else None,
                flapping=alert.flapping,
                **words._asdict(),
                active_at=_utc(alert.active_at),
                fired_at=_utc(alert.fired_at) if alert.fired_at else None,
                changed_at=_utc(moment.ts),
                recorded_at=_utc(moment.at),
                who=who,
                why=why,
            )
        )

    def escalation(self, device: str, name: str, alert: AlertState) -> Optional[dt.datetime]:
        """Return when the clock escalates the alert: not while an operator holds it."""
        return None if name in self.holds.get(device, {}) else alert.escalates_at

    def _timers(self) -> list[dt.datetime]:
        alerts = [
            time
            for device, by_rule in self.alerts.items()
            for name, alert in by_rule.items()
            for time in (alert.timer, self.escalation(device, name, alert))
            if time
        ]
        return alerts + [hold.until for by_name in self.holds.values() for hold in by_name.values() if hold.until]


def believed(alert: AlertState, at: dt.datetime) -> AlertState:
    """Return the alert without times that cannot be: one of our clocks was ahead when it wrote them.

    A device's clock may be ahead by ``MAX_CLOCK_SKEW``, and so may the event times that are taken from it.
    """
    latest = at + MAX_CLOCK_SKEW
    if alert.fired_at is None or alert.fired_at <= latest:
        return alert
    ahead = alert.fired_at - at
    return _replace(
        alert,
        fired_at=at,
        fired_since=at,
        escalates_at=alert.escalates_at - ahead if alert.escalates_at else None,
        changes=tuple(min(change, at) for change in alert.changes),
    )


def touched(alert: AlertState, moment: Moment) -> AlertState:
    """Return the alert with the reading as the last one that changed it; the clock does not count as one."""
    return alert if moment.seq is None else _replace(alert, changed_at=moment.ts, changed_seq=moment.seq)


def _with(table: dict[str, dict[str, _T]], device: str, name: str, value: _T) -> dict[str, dict[str, _T]]:
    return {**table, device: {**table.get(device, {}), name: value}}


def _without(table: dict[str, dict[str, _T]], device: str, name: str) -> dict[str, dict[str, _T]]:
    row = {other: value for other, value in table.get(device, {}).items() if other != name}
    rest = dict(table)
    rest.pop(device, None)
    return {**rest, device: row} if row else rest


def _remembered(past: dict[str, dict[str, PastAlert]], now: dt.datetime) -> dict[str, dict[str, PastAlert]]:
    """Return the past alerts without those that ended so long ago that no reading can still come before them."""
    horizon = now - MAX_LATENESS
    kept = {
        device: {name: alert for name, alert in by_rule.items() if alert.changed_at > horizon}
        for device, by_rule in past.items()
    }
    return {device: by_rule for device, by_rule in kept.items() if by_rule}


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.timezone.utc)
