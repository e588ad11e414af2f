"""Whether a rule watches and its condition holds, in the fewest words: what the reference model judges readings by."""

from __future__ import annotations

from fnmatch import fnmatchcase

from telemetry.reading.model import Reading
from telemetry.rules.conditions import And, Comparison, Condition, Metric, NoData, Or, Rejected, Status
from telemetry.rules.rule_set import Rule

#: The device of an alert about the gateway itself.
THE_GATEWAY = ""


def watching(rule: Rule | None, device: str, site: str) -> Rule | None:
    """The rule if it is there and watches the device, or the gateway, at a site."""
    if rule is None or is_about_gateway(rule) != (device == THE_GATEWAY):
        return None
    return rule if fnmatchcase(device, rule.device) and fnmatchcase(site, rule.site) else None


def is_about_silence(rule: Rule) -> bool:
    return isinstance(rule.when, NoData)


def is_about_gateway(rule: Rule) -> bool:
    return isinstance(rule.when, NoData) and rule.when.scope == "gateway"


def is_about_rejections(rule: Rule) -> bool:
    return isinstance(rule.when, Rejected)


def rejects(rule: Rule, reason: str) -> bool:
    """Whether the rule is about lines that are rejected for this reason."""
    return isinstance(rule.when, Rejected) and (not rule.when.reasons or reason in rule.when.reasons)


def truth(condition: Condition, reading: Reading) -> bool | None:
    """Kleene's three values: None is "no news"."""
    if isinstance(condition, And):
        return conjunction([truth(term, reading) for term in condition.terms])
    if isinstance(condition, Or):
        opposites = [opposite(truth(term, reading)) for term in condition.terms]
        return opposite(conjunction(opposites))
    if isinstance(condition, Status):
        same = reading.status == condition.status
        return same if condition.op == "==" else not same
    if isinstance(condition, Comparison) and isinstance(condition.subject, Metric):
        value = getattr(reading, condition.subject.name)
        return None if value is None else compare(value, condition.op, condition.threshold)
    return None


def conjunction(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def opposite(value: bool | None) -> bool | None:
    return None if value is None else not value


def compare(value: float, op: str, threshold: float) -> bool:
    return {
        "<": value < threshold,
        "<=": value <= threshold,
        ">": value > threshold,
        ">=": value >= threshold,
    }[op]
