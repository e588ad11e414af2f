"""What a transition says of an alert: what was compared with what, and a line for a person."""

from __future__ import annotations

from typing import NamedTuple, Optional

from telemetry.alerting.state import AlertState
from telemetry.rules.conditions import Comparison, Leaf, NoData, leaves
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


def on(rule: Rule, alert: AlertState, *, device: str, gateway: str) -> Words:
    """Of an alert that is pending or firing."""
    conditions = list(leaves(rule.when))
    leaf = conditions[min(alert.leaf, len(conditions) - 1)]  # the rule may have been edited since
    summary = fill_summary(
        rule, device_id=device or gateway, site=alert.site, gateway=gateway, value=alert.value, leaf=leaf
    )
    return Words(_metric(leaf), alert.value, _threshold(leaf), str(rule.when), summary, rule.runbook)


def over(
    rule: Rule, alert: AlertState, leaf: Optional[Leaf], value: Optional[float], *, device: str, gateway: str
) -> Words:
    """Of an alert that ended; ``leaf`` is the part of the clear condition that held, if a reading ended it.

    A rule's summary says what is wrong; what is over needs other words.
    """
    summary = f"{rule.name} is over at {device or gateway}, {alert.site}"
    if rule.no_data:
        return Words(
            condition="readings arrive again", summary=f"{summary}: readings arrive again", runbook=rule.runbook
        )
    if leaf is not None and value is not None:
        summary += f": {_metric(leaf)} is {value:g}"
    return Words(_metric(leaf), value, _threshold(leaf), str(rule.clear), summary, rule.runbook)


def gone(name: str, alert: AlertState, *, device: str, gateway: str) -> Words:
    """Of an alert whose rule is gone or no longer watches the device."""
    return Words(
        summary=f"{name} is over at {device or gateway}, {alert.site}: the rule no longer watches it",
    )


def _metric(leaf: Optional[Leaf]) -> str:
    if isinstance(leaf, Comparison):
        return str(leaf.subject)
    return "" if leaf is None or isinstance(leaf, NoData) else "status"


def _threshold(leaf: Optional[Leaf]) -> Optional[float]:
    return leaf.threshold if isinstance(leaf, Comparison) else None
