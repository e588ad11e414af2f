"""Receivers of notifications: which of them a notification is delivered to, by the filter policies of SNS.

https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Values that are accepted, by attribute. Each attribute has to have one of them.
Policy = Mapping[str, Sequence[Any]]

#: The patterns that a policy can have in place of a value.
_PATTERNS = ("prefix", "suffix", "equals-ignore-case", "anything-but", "exists")


def problem_of(condition: Any) -> str:
    """Return what is wrong with one value of a policy, and what to write; empty if it can be used."""
    if isinstance(condition, str):
        return ""
    if not isinstance(condition, dict) or len(condition) != 1 or next(iter(condition)) not in _PATTERNS:
        return f"invalid filter {condition!r}: write a text or one of {', '.join(_PATTERNS)}, as in {{prefix: cold-}}"
    ((pattern, given),) = condition.items()
    if pattern == "exists":
        return "" if isinstance(given, bool) else "exists is true or false"
    texts = given if pattern == "anything-but" and isinstance(given, list) else [given]
    nested = pattern == "anything-but" and isinstance(given, dict)
    if nested and not problem_of(given) and "anything-but" not in given and "exists" not in given:
        return ""
    return "" if all(isinstance(text, str) for text in texts) else f"{pattern} is a text"


def accepts(policy: Policy, attributes: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a subscription with this policy receives a message with these attributes."""
    return all(
        any(_matches(condition, attributes.get(name)) for condition in conditions)
        for name, conditions in policy.items()
    )


def _matches(condition: Any, values: Sequence[str] | None) -> bool:
    """Match an attribute: of several values, one is enough."""
    if isinstance(condition, dict) and "exists" in condition:
        return bool(condition["exists"]) == (values is not None)
    return any(_matches_value(condition, value) for value in values or ())


def _matches_value(condition: Any, value: str) -> bool:
    if isinstance(condition, str):
        return value == condition
    ((pattern, given),) = condition.items()
    if pattern == "prefix":
        return value.startswith(given)
    if pattern == "suffix":
        return value.endswith(given)
    if pattern == "equals-ignore-case":
        return value.casefold() == str(given).casefold()
    others = given if isinstance(given, list) else [given]
    return not any(_matches_value(other, value) for other in others)
