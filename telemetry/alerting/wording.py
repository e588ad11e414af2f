"""The wording of transitions: what was compared with what, and one line for a person."""

from __future__ import annotations

from typing import NamedTuple, Optional

from telemetry.alerting.state import AlertState
from telemetry.rules.conditions import Comparison, Leaf, Status, leaves
from telemetry.rules.rule_set import Rule
from telemetry.rules.summaries import fill_summary


class Words(NamedTuple):
    """The describing fields of a :class:`~telemetry.alerting.transitions.Transition`, as they are called there."""

    metric: str = ""
    value: Optional[float] = None
    threshold: Optional[float] = None
    condition: str = ""
    summary: str = ""
    runbook: str = ""


def describe_active(rule: Rule, alert: AlertState, *, device: str, gateway: str) -> Words:
    """Describe an alert that is pending or firing."""
    conditions = list(leaves(rule.when))
    leaf = conditions[min(alert.leaf, len(conditions) - 1)]  # the rule may have been edited since
    summary = fill_summary(
        rule, device_id=device or gateway, site=alert.site, gateway=gateway, value=alert.value, leaf=leaf
    )
    return Words(_metric(leaf), alert.value, _threshold(leaf), str(rule.when), summary, rule.runbook)


def describe_ended(
    rule: Rule, alert: AlertState, leaf: Optional[Leaf], value: Optional[float], *, device: str, gateway: str
) -> Words:
    """Describe an alert that ended; ``leaf`` is the part of the clear condition that held, if a reading ended it.

    A rule's own summary says what is wrong, so it cannot be used here.
    """
    summary = f"{rule.name} is over at {device or gateway}, {alert.site}"
    if rule.by_arrival:
        return Words(condition=rule.until, summary=f"{summary}: {rule.until}", runbook=rule.runbook)
    if leaf is not None and value is not None:
        summary += f": {_metric(leaf)} is {value:g}"
    return Words(_metric(leaf), value, _threshold(leaf), str(rule.clear), summary, rule.runbook)


def describe_withdrawn(name: str, alert: AlertState, *, device: str, gateway: str) -> Words:
    """Describe an alert whose rule was removed or no longer matches the device."""
    return Words(
        summary=f"{name} is over at {device or gateway}, {alert.site}: the rule no longer watches it",
    )


def _metric(leaf: Optional[Leaf]) -> str:
    if isinstance(leaf, Comparison):
        return str(leaf.subject)
    return "status" if isinstance(leaf, Status) else ""


def _threshold(leaf: Optional[Leaf]) -> Optional[float]:
    return leaf.threshold if isinstance(leaf, Comparison) else None
