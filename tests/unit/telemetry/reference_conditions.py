"""Whether a condition holds, in the fewest words: what the reference model of alerting judges readings by."""

from __future__ import annotations

from telemetry.reading.model import Reading
from telemetry.rules.conditions import And, Comparison, Condition, Metric, Or, Status


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
