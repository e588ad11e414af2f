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


def describe_ended(rule: Rule, alert: AlertState, leaf: Optional[Leaf], value: Optional[float], *, where: str) -> Words:
    """Describe an alert that ended at a device or gateway; ``leaf`` is what held of the clear condition, if any did.

    A rule's own summary says what is wrong, so it cannot be used here.
    """
    summary = f"{rule.name} is over at {where}, {alert.site}"
    if rule.by_arrival:
        return Words(condition=rule.until, summary=f"{summary}: {rule.until}", runbook=rule.runbook)
    if leaf is not None and value is not None:
        summary += f": {_metric(leaf)} is {value:g}"
    return Words(_metric(leaf), value, _threshold(leaf), str(rule.clear), summary, rule.runbook)


def describe_withdrawn(name: str, alert: AlertState, reason: str, *, where: str) -> Words:
    """Describe an alert that ended for a reason that is not in its readings; ``where`` is the device or gateway."""
    return Words(summary=f"{name} is over at {where}, {alert.site}: {reason}")


def _metric(leaf: Optional[Leaf]) -> str:
    if isinstance(leaf, Comparison):
        return str(leaf.subject)
    return "status" if isinstance(leaf, Status) else ""


def _threshold(leaf: Optional[Leaf]) -> Optional[float]:
    return leaf.threshold if isinstance(leaf, Comparison) else None
