"""The alert state machine: one gateway's state being carried forward, and the transitions made on the way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Optional, TypeVar

import msgspec

from telemetry.alerting import wording
from telemetry.alerting.state import AlertState, GatewayState, PastAlert, alert_id
from telemetry.alerting.transitions import AlertStatus, Change, Transition
from telemetry.alerting.wording import Words
from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.rules.conditions import Window, culprit, holds, leaves
from telemetry.rules.rule_set import Rule, RuleSet

#: How long a reading may be under way, its gateway's batching included, before the clock decides without it.
CLOCK_GRACE = dt.timedelta(seconds=15)

#: How often past alerts are looked through for those to forget.
_SWEEP_EVERY = dt.timedelta(hours=1)

ValueOf = Callable[[Window], Optional[float]]
_T = TypeVar("_T")
_replace = msgspec.structs.replace


class Moment(NamedTuple):
    """When something is decided: ``at`` by the clock, ``ts`` and ``seq`` by the reading that decides it.

    Where the clock decides, ``ts`` is the clock's too and ``seq`` is None.
    """

    at: dt.datetime
    ts: dt.datetime
    seq: Optional[int] = None


class Machine:
    """A gateway's state to work on; what does not change is shared with the original."""

    def __init__(self, rules: RuleSet, state: GatewayState) -> None:
        self.rules = rules
        self.before = state
        self.gateway = state.gateway
        self.alerts = state.alerts
        self.past = state.past
        self.holds = state.holds
        self.transitions: list[Transition] = []

    def after(self, now: dt.datetime) -> GatewayState:
        """The state as it is now; the original object where nothing changed."""
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

    # What a reading does

    def look(self, rule: Rule, reading: Reading, value_of: ValueOf, arrived: dt.datetime) -> None:
        """Carry the alert of a rule through a reading of a device."""
        device = reading.device_id
        active, past = self.alerts.get(device), self.past.get(device)
        alert = active.get(rule.name) if active else None
        if alert is None and not holds(rule.when, reading, value_of):
            return
        last = alert or (past.get(rule.name) if past else None)
        if last and (reading.ts, reading.seq) <= (last.changed_at, last.changed_seq):
            return
        moment = Moment(arrived, reading.ts, reading.seq)
        if alert is None:
            self._begin(rule, reading, value_of, moment)
        elif alert.status == "pending":
            self._look_at_pending(rule, alert, reading, value_of, moment)
        else:
            self._look_at_firing(rule, alert, reading, value_of, moment)

    def _begin(self, rule: Rule, reading: Reading, value_of: ValueOf, moment: Moment) -> None:
        alert = self._new(rule, reading.device_id, reading.site, moment.ts, moment)
        alert = _with_value(rule, alert, reading, value_of)
        if rule.hold_for:
            timer = moment.at + rule.hold_for + CLOCK_GRACE
            self._change(rule, reading.device_id, _replace(alert, timer=timer), "pending", moment)
        else:
            self._fire(rule, reading.device_id, alert, moment)

    def _look_at_pending(
        self, rule: Rule, alert: AlertState, reading: Reading, value_of: ValueOf, moment: Moment
    ) -> None:
        when = holds(rule.when, reading, value_of)
        if when is False:
            self.end(rule, reading.device_id, alert, moment)
        elif when and moment.ts - alert.active_at >= rule.hold_for:
            self._fire(rule, reading.device_id, _with_value(rule, alert, reading, value_of), moment)

    def _look_at_firing(
        self, rule: Rule, alert: AlertState, reading: Reading, value_of: ValueOf, moment: Moment
    ) -> None:
        device, keep, clearing_at = reading.device_id, _keep_firing_for(rule, alert), alert.clearing_at
        if clearing_at is None:
            # Of two conditions that overlap, "when" wins: the alert would end and begin with every reading.
            if holds(rule.clear, reading, value_of) and not holds(rule.when, reading, value_of):
                if not keep:
                    self.end(rule, device, alert, moment, cleared_by=(reading, value_of))
                    return
                timer = moment.at + keep + CLOCK_GRACE
                alert = self._touch(rule, device, _replace(alert, clearing_at=moment.ts, timer=timer), moment)
        elif holds(rule.when, reading, value_of):
            alert = self._touch(rule, device, _replace(alert, clearing_at=None, timer=None), moment)
        elif moment.ts - clearing_at >= keep:
            self.end(rule, device, alert, moment, cleared_by=(reading, value_of))
            return
        if (
            rule.escalate
            and alert.fired_at
            and alert.severity != rule.escalate.to
            and rule.name not in self.holds.get(device, {})
            and moment.ts - alert.fired_at >= rule.escalate.after
        ):
            self._escalate(rule, device, alert, moment)

    # Silence, which the clock begins and a sign of life ends

    def fall_silent(self, rule: Rule, device: str, site: str, since: dt.datetime, now: dt.datetime) -> None:
        """Fire the alert of a ``no_data`` rule, or have it go on where it was about to resolve."""
        moment = Moment(now, now)
        clearing = self.alerts.get(device, {}).get(rule.name)
        if clearing:
            self._touch(rule, device, _replace(clearing, clearing_at=None, timer=None), moment)
            return
        self._fire(rule, device, self._new(rule, device, site, since, moment), moment)

    def live(self, rule: Rule, device: str, arrived: dt.datetime) -> None:
        """Carry the alert of a ``no_data`` rule through a sign of life."""
        alert = self.alerts.get(device, {}).get(rule.name)
        if alert is None or arrived <= alert.changed_at:
            return
        keep, moment = _keep_firing_for(rule, alert), Moment(arrived, arrived)
        if not keep or (alert.clearing_at and arrived - alert.clearing_at >= keep):
            self.end(rule, device, _replace(alert, changed_at=arrived), moment)
        elif alert.clearing_at is None:
            clearing = _replace(alert, clearing_at=arrived, timer=arrived + keep + CLOCK_GRACE, changed_at=arrived)
            self.alerts = _with(self.alerts, device, rule.name, clearing)

    # What the clock does

    def tick(self, now: dt.datetime) -> None:
        """Do everything that is due, in its order; what that makes due in turn as well."""
        if self.before.due is None or self.before.due > now:
            return
        while due := sorted(self._due(now)):
            for time, device, name in due:
                self._do_due(time, device, name, Moment(now, now))

    def _due(self, now: dt.datetime) -> Iterator[tuple[dt.datetime, str, str]]:
        for device, by_rule in self.alerts.items():
            for name, alert in by_rule.items():
                for time in (alert.timer, self._escalation(device, name, alert)):
                    if time and time <= now:
                        yield time, device, name
        for device, by_name in self.holds.items():
            for name, hold in by_name.items():
                if hold.until and hold.until <= now:
                    yield hold.until, device, name

    def _do_due(self, time: dt.datetime, device: str, name: str, moment: Moment) -> None:
        hold = self.holds.get(device, {}).get(name)
        if hold and hold.until == time:
            self.release(device, name, "unsnoozed", moment)
        alert, rule = self.alerts.get(device, {}).get(name), self.rules.named(name)
        if alert is None:
            return
        if rule is None:
            self.withdraw(device, name, moment)
        elif alert.timer == time and alert.status == "pending":
            # A device's clock may be ahead of ours.
            self._fire(rule, device, alert, moment._replace(ts=max(moment.ts, alert.active_at)))
        elif alert.timer == time:
            self.end(rule, device, alert, moment)
        elif self._escalation(device, name, alert) == time:
            self._escalate(rule, device, alert, moment)

    # The changes

    def _new(self, rule: Rule, device: str, site: str, active_at: dt.datetime, moment: Moment) -> AlertState:
        past = self.past.get(device, {}).get(rule.name)
        return AlertState(
            status="pending",
            alert_id=alert_id(rule.name, self.gateway, device, active_at, moment.seq or 0),
            sequence=0,
            severity=rule.severity,
            site=site,
            active_at=active_at,
            changed_at=moment.ts,
            changed_seq=moment.seq or 0,
            changes=past.changes if past else (),
        )

    def _fire(self, rule: Rule, device: str, alert: AlertState, moment: Moment) -> None:
        most, since = rule.flapping.changes, moment.ts - rule.flapping.window
        changes = (*(time for time in alert.changes if time > since), moment.ts)
        flapping = len(changes) > most
        fired = _replace(
            alert,
            status="firing",
            fired_at=moment.ts,
            timer=None,
            escalates_at=moment.at + rule.escalate.after + CLOCK_GRACE if rule.escalate else None,
            flapping=flapping,
            changes=changes[-most:],
        )
        self._change(rule, device, fired, "flapping" if flapping else "firing", moment)

    def _escalate(self, rule: Rule, device: str, alert: AlertState, moment: Moment) -> None:
        severity = rule.escalate.to if rule.escalate else alert.severity
        raised = _replace(alert, severity=severity, escalates_at=None)
        if severity == alert.severity:  # the rule has lost its escalation since
            self.alerts = _with(self.alerts, device, rule.name, raised)
        else:
            self._change(rule, device, raised, "escalated", moment)

    def end(
        self,
        rule: Rule,
        device: str,
        alert: AlertState,
        moment: Moment,
        *,
        cleared_by: Optional[tuple[Reading, ValueOf]] = None,
    ) -> None:
        """End an alert: resolved, or inactive if it never fired."""
        leaf, value = culprit(rule.clear, *cleared_by) if cleared_by else (None, None)
        words = wording.describe_ended(rule, alert, leaf, value, device=device, gateway=self.gateway)
        ended = _touched(_replace(alert, sequence=alert.sequence + 1), moment)
        changes = alert.changes
        if alert.status == "firing":
            changes = () if alert.flapping else (*changes, moment.ts)[-rule.flapping.changes :]
        self._finish(device, rule.name, ended, words=words, moment=moment, changes=changes)

    def withdraw(self, device: str, name: str, moment: Moment) -> None:
        """End an alert whose rule is gone or no longer watches the device; a late reading does not."""
        alert = self.alerts[device][name]
        if moment.seq is not None and (moment.ts, moment.seq) <= (alert.changed_at, alert.changed_seq):
            return
        words = wording.describe_withdrawn(name, alert, device=device, gateway=self.gateway)
        ended = _touched(_replace(alert, sequence=alert.sequence + 1), moment)
        self._finish(device, name, ended, words=words, moment=moment, changes=())

    def release(self, device: str, name: str, change: Change, moment: Moment, *, who: str = "", why: str = "") -> None:
        """End the hold of an alert, active or not."""
        self.holds = _without(self.holds, device, name)
        self.note(device, name, change, moment, who=who, why=why)

    def note(self, device: str, name: str, change: Change, moment: Moment, *, who: str = "", why: str = "") -> None:
        """Tell what was done to the holds of an alert, active or not."""
        alert, rule = self.alerts.get(device, {}).get(name), self.rules.named(name)
        if alert is None:
            severity = rule.severity if rule else "info"
            nothing = AlertState("pending", "", 0, severity, "", moment.ts, moment.ts, 0)
            self._tell(device, name, nothing, change, status="inactive", words=Words(), moment=moment, who=who, why=why)
            return
        told = _replace(alert, sequence=alert.sequence + 1)
        self.alerts = _with(self.alerts, device, name, told)
        words = wording.describe_active(rule, told, device=device, gateway=self.gateway) if rule else Words()
        self._tell(device, name, told, change, status=told.status, words=words, moment=moment, who=who, why=why)

    def _change(self, rule: Rule, device: str, alert: AlertState, change: Change, moment: Moment) -> None:
        alert = self._touch(rule, device, _replace(alert, sequence=alert.sequence + 1), moment)
        words = wording.describe_active(rule, alert, device=device, gateway=self.gateway)
        self._tell(device, rule.name, alert, change, status=alert.status, words=words, moment=moment)

    def _finish(
        self,
        device: str,
        name: str,
        alert: AlertState,
        *,
        words: Words,
        moment: Moment,
        changes: tuple[dt.datetime, ...],
    ) -> None:
        status: Literal["resolved", "inactive"] = "resolved" if alert.status == "firing" else "inactive"
        # Fired by the clock and ended by a reading taken before; or begun by a device whose clock is ahead of ours.
        moment = moment._replace(ts=max(moment.ts, alert.fired_at or alert.active_at))
        self._tell(device, name, alert, status, status=status, words=words, moment=moment)
        self.alerts = _without(self.alerts, device, name)
        self.past = _with(self.past, device, name, PastAlert(alert.changed_at, alert.changed_seq, changes))
        hold = self.holds.get(device, {}).get(name)
        if hold and hold.kind == "acknowledged":
            self.holds = _without(self.holds, device, name)

    def _tell(
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
                gateway=self.gateway,
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

    # Small things

    def _touch(self, rule: Rule, device: str, alert: AlertState, moment: Moment) -> AlertState:
        touched = _touched(alert, moment)
        self.alerts = _with(self.alerts, device, rule.name, touched)
        return touched

    def _escalation(self, device: str, name: str, alert: AlertState) -> Optional[dt.datetime]:
        """When the clock escalates the alert: not while an operator holds it."""
        return None if name in self.holds.get(device, {}) else alert.escalates_at

    def _timers(self) -> list[dt.datetime]:
        alerts = [
            time
            for device, by_rule in self.alerts.items()
            for name, alert in by_rule.items()
            for time in (alert.timer, self._escalation(device, name, alert))
            if time
        ]
        return alerts + [hold.until for by_name in self.holds.values() for hold in by_name.values() if hold.until]


def _with_value(rule: Rule, alert: AlertState, reading: Reading, value_of: ValueOf) -> AlertState:
    """The alert with what the reading had compared, of the part of the condition that held."""
    leaf, value = culprit(rule.when, reading, value_of)
    return _replace(alert, value=value, leaf=next(i for i, other in enumerate(leaves(rule.when)) if other == leaf))


def _touched(alert: AlertState, moment: Moment) -> AlertState:
    """The alert with the reading as the last that changed it; the clock leaves that as it is."""
    return alert if moment.seq is None else _replace(alert, changed_at=moment.ts, changed_seq=moment.seq)


def _keep_firing_for(rule: Rule, alert: AlertState) -> dt.timedelta:
    return max(rule.keep_firing_for, rule.flapping.window) if alert.flapping else rule.keep_firing_for


def _with(table: dict[str, dict[str, _T]], device: str, name: str, value: _T) -> dict[str, dict[str, _T]]:
    return {**table, device: {**table.get(device, {}), name: value}}


def _without(table: dict[str, dict[str, _T]], device: str, name: str) -> dict[str, dict[str, _T]]:
    row = {other: value for other, value in table.get(device, {}).items() if other != name}
    rest = {other: by_name for other, by_name in table.items() if other != device}
    return {**rest, device: row} if row else rest


def _remembered(past: dict[str, dict[str, PastAlert]], now: dt.datetime) -> dict[str, dict[str, PastAlert]]:
    """The past alerts without those that ended so long ago that no reading can still come before them."""
    horizon = now - MAX_LATENESS
    kept = {
        device: {name: alert for name, alert in by_rule.items() if alert.changed_at > horizon}
        for device, by_rule in past.items()
    }
    return {device: by_rule for device, by_rule in kept.items() if by_rule}


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.timezone.utc)
