"""The alert state machine: when alerts of a home's devices begin, fire, escalate and end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import NamedTuple, Optional

import msgspec

from telemetry.alerting import wording
from telemetry.alerting.changes import Changes, Moment, Step, believed, touched
from telemetry.alerting.state import BY_ARRIVAL, AlertState, GatewayState, alert_id
from telemetry.reading.model import MAX_CLOCK_SKEW, Reading
from telemetry.rules.conditions import Window, culprit, holds, leaves
from telemetry.rules.rule_set import SEVERITIES, Rule, RuleSet

#: How long a reading may be under way, its gateway's batching included, before the clock decides without it.
CLOCK_GRACE = dt.timedelta(seconds=15)

ValueOf = Callable[[Window], Optional[float]]
_replace = msgspec.structs.replace


class Silence(NamedTuple):
    """A ``no_data`` rule that may fire: of what and where, its last sign of life (Unix time), through which gateway.

    ``via`` is empty for the home's own gateway.
    """

    rule: Rule
    device: str
    site: str
    since: float
    via: str = ""


class Machine(Changes):
    """The state machine at work on a home's state.

    ``gateway`` is the one through which the devices are heard, if it is not the home's.
    """

    def __init__(self, rules: RuleSet, state: GatewayState, gateway: str = "") -> None:
        super().__init__(rules, state)
        self._via = "" if gateway == state.gateway else gateway

    # Readings

    def look(self, rule: Rule, reading: Reading, value_of: ValueOf, moment: Moment) -> None:
        """Update the alert of a rule with a reading of a device."""
        device = reading.device_id
        active, past = self.alerts.get(device), self.past.get(device)
        alert = active.get(rule.name) if active else None
        if alert is None and not holds(rule.when, reading, value_of):
            return
        last = alert or (past.get(rule.name) if past else None)
        if last and moment.is_late(last):
            return
        if alert is None:
            self._begin(rule, reading, value_of, moment)
        elif alert.status == "pending":
            self._look_at_pending(rule, alert, reading, value_of, moment)
        else:
            self._look_at_firing(rule, self._believe(device, rule.name, alert, moment.at), reading, value_of, moment)

    def _begin(self, rule: Rule, reading: Reading, value_of: ValueOf, moment: Moment) -> None:
        alert = self._new(rule, reading.device_id, reading.site, moment.ts, moment)
        alert = _with_value(rule, alert, reading, value_of)
        if rule.hold_for:
            alert = _replace(alert, since=moment.since, timer=_timer(rule.hold_for, moment))
            self.change(rule, reading.device_id, alert, "pending", moment)
        else:
            self._fire(rule, reading.device_id, alert, moment)

    def _look_at_pending(
        self, rule: Rule, alert: AlertState, reading: Reading, value_of: ValueOf, moment: Moment
    ) -> None:
        when = holds(rule.when, reading, value_of)
        jump = _jump(rule.hold_for, alert.active_at, alert.since, moment)
        if jump:
            alert = _replace(alert, active_at=alert.active_at + jump)
            self.put(reading.device_id, rule.name, alert)
        if when is False:
            self.end(rule, reading.device_id, alert, moment)
        elif when and moment.ts - alert.active_at >= rule.hold_for:
            self._fire(rule, reading.device_id, _with_value(rule, alert, reading, value_of), moment)
        else:
            self._await_batch(reading.device_id, rule.name, alert, moment)

    def _look_at_firing(
        self, rule: Rule, alert: AlertState, reading: Reading, value_of: ValueOf, moment: Moment
    ) -> None:
        device, keep, clearing_at = reading.device_id, _keep_firing_for(rule, alert), alert.clearing_at
        if clearing_at is not None and (jump := _jump(keep, clearing_at, alert.since, moment)):
            clearing_at += jump
            alert = _replace(alert, clearing_at=clearing_at)
            self.put(device, rule.name, alert)
        if clearing_at is None:
            # Of two conditions that overlap, "when" wins: the alert would end and begin with every reading.
            if holds(rule.clear, reading, value_of) and not holds(rule.when, reading, value_of):
                if not keep:
                    self.end(rule, device, alert, moment, cleared_by=(reading, value_of))
                    return
                alert = _replace(alert, clearing_at=moment.ts, since=moment.since, timer=_timer(keep, moment))
                alert = self.touch(device, rule.name, alert, moment)
        elif holds(rule.when, reading, value_of):
            alert = self.touch(device, rule.name, _replace(alert, clearing_at=None, timer=None), moment)
        elif moment.ts - clearing_at >= keep:
            self.end(rule, device, alert, moment, cleared_by=(reading, value_of))
            return
        else:
            alert = self._await_batch(device, rule.name, alert, moment)
        if (
            rule.escalate
            and alert.fired_at
            and alert.severity != rule.escalate.to
            and rule.name not in self.holds.get(device, {})
            and moment.ts - alert.fired_at >= rule.escalate.after
            and (alert.fired_since is None or moment.since - alert.fired_since >= rule.escalate.after)
        ):
            self._escalate(rule, device, alert, moment)

    def _await_batch(self, device: str, name: str, alert: AlertState, moment: Moment) -> AlertState:
        """Have the clock wait for the device's next batch, so that one odd reading at a batch's end decides nothing."""
        if alert.timer and moment.next_batch and alert.timer < moment.next_batch + CLOCK_GRACE:
            alert = _replace(alert, timer=moment.next_batch + CLOCK_GRACE)
            self.put(device, name, alert)
        return alert

    def _believe(self, device: str, name: str, alert: AlertState, at: dt.datetime) -> AlertState:
        """Correct an alert that one of our clocks fired while it was ahead."""
        correct = believed(alert, at)
        if correct is not alert:
            self.put(device, name, correct)
        return correct

    # Arrivals: what a silence or a rejected line begins, and a sign of life or an accepted reading ends

    def fall_silent(self, silence: Silence, now: dt.datetime) -> None:
        """Fire the alert of a ``no_data`` rule, or have it go on where it was about to resolve."""
        rule, device, moment = silence.rule, silence.device, Moment(now, now)
        since = dt.datetime.fromtimestamp(silence.since, dt.timezone.utc)
        clearing = self.alerts.get(device, {}).get(rule.name)
        if clearing:
            self.put(device, rule.name, _replace(clearing, clearing_at=None, timer=None, changed_at=since))
            return
        alert = _replace(self._new(rule, device, silence.site, since, moment), changed_at=since, gateway=silence.via)
        self._fire(rule, device, alert, moment)

    def refuse(self, rule: Rule, device: str, site: str, arrived: dt.datetime) -> None:
        """Update the alert of a ``rejected`` rule with a rejected line."""
        alert, past = self.alerts.get(device, {}).get(rule.name), self.past.get(device, {}).get(rule.name)
        last = alert or past
        if last and arrived <= last.changed_at:
            return
        moment = Moment(arrived, arrived)
        if alert is None:
            alert = self._new(rule, device, site, arrived, moment)
            if rule.hold_for:
                alert = _replace(alert, since=arrived, timer=_timer(rule.hold_for, moment))
                self.change(rule, device, alert, "pending", moment)
            else:
                self._fire(rule, device, alert, moment)
        elif alert.status == "pending":
            if arrived - alert.active_at >= rule.hold_for:
                self._fire(rule, device, _replace(alert, changed_at=arrived), moment)
        elif alert.clearing_at:
            self.put(device, rule.name, _replace(alert, clearing_at=None, timer=None, changed_at=arrived))

    def live(self, rule: Rule, device: str, arrived: dt.datetime) -> None:
        """Update the alert of a rule that arrivals decide with an arrival that ends it."""
        alert = self.alerts.get(device, {}).get(rule.name)
        if alert is None or arrived <= alert.changed_at:
            return
        alert = _replace(self._believe(device, rule.name, alert, arrived), changed_at=arrived)
        keep, moment = _keep_firing_for(rule, alert), Moment(arrived, arrived)
        if alert.status == "pending" or not keep or (alert.clearing_at and arrived - alert.clearing_at >= keep):
            self.end(rule, device, alert, moment)
        elif alert.clearing_at is None:
            clearing = _replace(alert, clearing_at=arrived, since=arrived, timer=_timer(keep, moment))
            self.put(device, rule.name, clearing)

    # Rules that were edited

    def rate(self, rule: Rule, device: str, alert: AlertState, moment: Moment) -> None:
        """Give an alert the severity that its rule has by now; one that was escalated beyond it keeps its own."""
        # States of older versions do not say; an alert that was escalated is then taken to have been so by this rule.
        by_escalation = rule.escalate and alert.severity == rule.escalate.to
        rated = alert.rated or (rule.severity if by_escalation else alert.severity)
        if rated == rule.severity:
            return
        escalated = alert.severity != rated and SEVERITIES.index(alert.severity) > SEVERITIES.index(rule.severity)
        edited = _replace(alert, rated=rule.severity, severity=alert.severity if escalated else rule.severity)
        if alert.status == "firing" and edited.severity != alert.severity:
            self.change(rule, device, edited, "severity", moment)
        else:
            self.put(device, rule.name, edited)

    # The clock

    def tick(self, now: dt.datetime, most: Optional[int] = None) -> None:
        """Do everything that is due, in order, and what that makes due in turn; stop after ``most`` transitions."""
        if self.before.due is None or self.before.due > now:
            return
        while due := sorted(self._due(now)):
            for time, device, name in due:
                if most is not None and len(self.transitions) >= most:
                    return
                self._do_due(time, device, name, Moment(now, now))

    def _due(self, now: dt.datetime) -> Iterator[tuple[dt.datetime, str, str]]:
        for device, by_rule in self.alerts.items():
            for name, alert in by_rule.items():
                for time in (alert.timer, self.escalation(device, name, alert)):
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
        elif self.escalation(device, name, alert) == time:
            self._escalate(rule, device, alert, moment)

    # Beginnings and ends

    def _new(self, rule: Rule, device: str, site: str, active_at: dt.datetime, moment: Moment) -> AlertState:
        past = self.past.get(device, {}).get(rule.name)
        return AlertState(
            status="pending",
            alert_id=alert_id(rule.name, device or self.before.gateway, active_at, moment.seq or 0),
            sequence=0,
            severity=rule.severity,
            site=site,
            active_at=active_at,
            changed_at=moment.ts,
            changed_seq=BY_ARRIVAL if moment.seq is None else moment.seq,
            changes=past.changes if past else (),
            gateway=self._via,
            rated=rule.severity,
        )

    def _fire(self, rule: Rule, device: str, alert: AlertState, moment: Moment) -> None:
        most, since = rule.flapping.changes, moment.ts - rule.flapping.window
        # Changes after this one were stamped before the device's clock was set back.
        latest = moment.ts + MAX_CLOCK_SKEW
        changes = (*(time for time in alert.changes if since < time <= latest), moment.ts)
        flapping = len(changes) > most
        fired = _replace(
            alert,
            status="firing",
            fired_at=moment.ts,
            fired_since=moment.since,
            timer=None,
            escalates_at=moment.since + rule.escalate.after + CLOCK_GRACE if rule.escalate else None,
            flapping=flapping,
            changes=changes[-most:],
        )
        self.change(rule, device, fired, "flapping" if flapping else "firing", moment)

    def _escalate(self, rule: Rule, device: str, alert: AlertState, moment: Moment) -> None:
        severity = rule.escalate.to if rule.escalate else alert.severity
        raised = _replace(alert, severity=severity, escalates_at=None)
        if severity == alert.severity:  # the rule has lost its escalation since
            self.put(device, rule.name, raised)
        else:
            self.change(rule, device, raised, "escalated", moment)

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
        words = wording.describe_ended(rule, alert, leaf, value, where=device or self.before.gateway)
        ended = touched(_replace(alert, sequence=alert.sequence + 1), moment)
        changes = alert.changes
        if alert.status == "firing":
            changes = () if alert.flapping else (*changes, moment.ts)[-rule.flapping.changes :]
        self.finish(device, rule.name, ended, words=words, moment=moment, changes=changes)


def _with_value(rule: Rule, alert: AlertState, reading: Reading, value_of: ValueOf) -> AlertState:
    """Return the alert with the value that was compared, of the part of the condition that held."""
    leaf, value = culprit(rule.when, reading, value_of)
    return _replace(alert, value=value, leaf=next(i for i, other in enumerate(leaves(rule.when)) if other == leaf))


def _jump(duration: dt.timedelta, event: dt.datetime, taken: Optional[dt.datetime], moment: Moment) -> dt.timedelta:
    """Return how far the device's clock jumped with this reading: so far, what began before moves along.

    ``event`` is when a phase of this duration began by event time and ``taken`` by the stream's clock. They stand in
    for the reading before, if that is not known.
    """
    if moment.step:
        return moment.step.jump(duration)
    return Step(moment.ts - event, moment.since - taken).jump(duration) if taken else dt.timedelta(0)


def _timer(duration: dt.timedelta, moment: Moment) -> dt.datetime:
    """Return when the clock ends what begins: not before the device's next batch is due."""
    ends = moment.since + duration
    return (max(ends, moment.next_batch) if moment.next_batch else ends) + CLOCK_GRACE


def _keep_firing_for(rule: Rule, alert: AlertState) -> dt.timedelta:
    return max(rule.keep_firing_for, rule.flapping.window) if alert.flapping else rule.keep_firing_for
