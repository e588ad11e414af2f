"""The lake's table of alert transitions, derived from :class:`~telemetry.alerting.transitions.Transition`."""

from __future__ import annotations

from telemetry.alerting.transitions import Transition
from telemetry.reading.fields import fields_of
from telemetry.tables.table import Table, as_json, by_hour, column_of

_MEANINGS = {
    "alert_id": "The alert: one time that a rule held for a device; empty for a hold on a device without an alert",
    "sequence": "Counts up by one for each change of an alert: (alert_id, sequence) more than once is the same change",
    "change": "What happened: one of telemetry.alerting.transitions.Change",
    "status": "The alert's status after it: pending, firing, resolved or inactive",
    "rule": "Name of the rule",
    "severity": "Severity after the change: info, warning, critical or page",
    "device": "Device; empty for an alert about a whole gateway",
    "site": "Where the device stands",
    "gateway": "Gateway that sends the device's readings",
    "held": "What keeps the alert from being told after the change: acknowledged, snoozed, disabled or null",
    "flapping": "Whether the alert goes on and off too often for each time to be told",
    "metric": "The metric that the value is about",
    "value": "Its value at the change, in the metric's unit",
    "threshold": "What the condition compares it with",
    "condition": "The rule's condition, as evaluated",
    "summary": "The rule's summary, filled in",
    "runbook": "Where the rule says what to do",
    "active_at": "When the condition began to hold, by the event time, UTC",
    "fired_at": "When the alert fired, by the event time, UTC; null before",
    "changed_at": "When this change happened, by the event time (the clock's where the clock decided), UTC",
    "recorded_at": "When this change was seen, by the clock, UTC",
    "who": "The operator, where one did it",
    "why": "The operator's reason",
}

_UNITS = {"value": "the metric's", "threshold": "the metric's"}

ALERTS = Table(
    name="alerts",
    comment="Every change of every alert as JSON lines, by arrival time; one that was sent twice is there twice",
    kind="delivered",
    columns=tuple(as_json(column_of(f, _MEANINGS[f.name], _UNITS.get(f.name, ""))) for f in fields_of(Transition)),
    partition_keys=by_hour("arrival"),
    example="""\
SELECT DISTINCT alert_id, sequence, change, rule, device, changed_at
FROM alerts
WHERE dt = '2026-11-23' AND severity = 'critical'
ORDER BY changed_at""",
)
