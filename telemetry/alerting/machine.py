"""The alert state machine: when alerts of one gateway begin, fire, escalate and end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Optional

import msgspec

from telemetry.alerting import wording
from telemetry.alerting.changes import Changes, Moment, touched
from telemetry.alerting.state import AlertState, alert_id
from telemetry.reading.model import Reading
from telemetry.rules.conditions import Window, culprit, holds, leaves
from telemetry.rules.rule_set import Rule

#: How long a reading may be under way, its gateway's batching included, before the clock decides without it.
CLOCK_GRACE = dt.timedelta(seconds=15)

ValueOf = Callable[[Window], Optional[float]]
_replace = msgspec.structs.replace


class Machine(Changes):
    """The state machine at work on a gateway's state."""

    # Readings

    def look(self, rule: Rule, reading: Reading, value_of: ValueOf, arrived: dt.datetime) -> None:
        """Update the alert of a rule with a reading of a device."""
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
            self.change(rule, reading.device_id, _replace(alert, timer=timer), "pending", moment)
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
                alert = self.touch(device, rule.name, _replace(alert, clearing_at=moment.ts, timer=timer), moment)
        elif holds(rule.when, reading, value_of):
            alert = self.touch(device, rule.name, _replace(alert, clearing_at=None, timer=None), moment)
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
            self.touch(device, rule.name, _replace(clearing, clearing_at=None, timer=None), moment)
            return
        self._fire(rule, device, self._new(rule, device, site, since, moment), moment)

    def live(self, rule: Rule, device: str, arrived: dt.datetime) -> None:
        """Update the alert of a ``no_data`` rule with a sign of life."""
        alert = self.alerts.get(device, {}).get(rule.name)
        if alert is None or arrived <= alert.changed_at:
            return
        keep, moment = _keep_firing_for(rule, alert), Moment(arrived, arrived)
        if not keep or (alert.clearing_at and arrived - alert.clearing_at >= keep):
            self.end(rule, device, _replace(alert, changed_at=arrived), moment)
        elif alert.clearing_at is None:
            clearing = _replace(alert, clearing_at=arrived, timer=arrived + keep + CLOCK_GRACE, changed_at=arrived)
            self.put(device, rule.name, clearing)

    # The clock

    def tick(self, now: dt.datetime) -> None:
        """Do everything that is due, in order, and what that makes due in turn."""
        if self.before.due is None or self.before.due > now:
            return
        while due := sorted(self._due(now)):
            for time, device, name in due:
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
        words = wording.describe_ended(rule, alert, leaf, value, device=device, gateway=self.gateway)
        ended = touched(_replace(alert, sequence=alert.sequence + 1), moment)
        changes = alert.changes
        if alert.status == "firing":
            changes = () if alert.flapping else (*changes, moment.ts)[-rule.flapping.changes :]
        self.finish(device, rule.name, ended, words=words, moment=moment, changes=changes)


def _with_value(rule: Rule, alert: AlertState, reading: Reading, value_of: ValueOf) -> AlertState:
    """Return the alert with the value that was compared, of the part of the condition that held."""
    leaf, value = culprit(rule.when, reading, value_of)
    return _replace(alert, value=value, leaf=next(i for i, other in enumerate(leaves(rule.when)) if other == leaf))


def _keep_firing_for(rule: Rule, alert: AlertState) -> dt.timedelta:
    return max(rule.keep_firing_for, rule.flapping.window) if alert.flapping else rule.keep_firing_for
