"""Summaries: the one line that says to a person what an alert is about."""

from __future__ import annotations

import re
import string
from typing import Optional, Union

from telemetry.rules.conditions import Comparison, Leaf, Status
from telemetry.rules.rule_set import Rule
from telemetry.text.errors import TextError

#: The names that a summary can use in braces.
SUMMARY_NAMES = ("device_id", "device", "site", "gateway", "rule", "metric", "value", "threshold", "condition")

#: An expression of Go's templates, in which Prometheus and Grafana write summaries, and those of Jinja.
_TEMPLATE = re.compile(r"\{\{-?\s*([^{}\s][^{}]*?)\s*-?\}\}")

#: The words of such expressions, and the names here.
_NAMES_OF_TEMPLATES = {
    **{name: name for name in SUMMARY_NAMES},
    **dict.fromkeys(("instance", "device_id", "sensor", "host", "job"), "device"),
    **dict.fromkeys(("alertname", "rule_name"), "rule"),
    "expr": "condition",
}


class _Missing:
    """Stands for a missing number, in any format."""

    def __format__(self, _: str) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\N{EN DASH}"

    __repr__ = __str__


_MISSING = _Missing()


def fill_summary(
    rule: Rule, *, device_id: str, site: str, gateway: str, value: Optional[float], leaf: Optional[Leaf]
) -> str:
    """Fill in the rule's summary.

    ``leaf`` is the comparison that held, and ``value`` what it compared, in the metric's unit. A missing number
    (nothing arrived, or the status was compared) becomes a dash.
    """
    metric, threshold = "", None
    if isinstance(leaf, Comparison):
        metric, threshold = str(leaf.subject), leaf.threshold
    elif isinstance(leaf, Status):
        metric = "status"
    if not rule.summary:
        measured = "" if value is None else f" ({metric} is {value:g})"
        return f"{device_id} at {site}: {rule.when}{measured}"
    names: dict[str, Union[str, float, _Missing]] = {
        "device_id": device_id,
        "device": device_id,
        "site": site,
        "gateway": gateway,
        "rule": rule.name,
        "metric": metric,
        "value": _MISSING if value is None else value,
        "threshold": _MISSING if threshold is None else threshold,
        "condition": str(rule.when),
    }
    return rule.summary.format_map(names)


def check_summary(summary: str) -> None:
    """Raise :class:`~telemetry.text.errors.TextError` for a summary that cannot be filled in whatever the alert."""
    known = ", ".join(f"{{{name}}}" for name in SUMMARY_NAMES)
    if _TEMPLATE.search(summary):
        here = _TEMPLATE.sub(_as_written_here, summary)
        unknown = f"; a summary can name {known}" if "{…}" in here else ""
        raise TextError(f"templates in {{{{ }}}} are not filled in here; write {here!r}{unknown}")
    try:
        fields = [(name, form) for _, name, form, _ in string.Formatter().parse(summary) if name is not None]
    except ValueError as error:
        raise TextError(f"{summary!r} cannot be filled in: {error}; a brace itself is written {{{{ or }}}}") from error
    for name, form in fields:
        if name not in SUMMARY_NAMES:
            raise TextError(f"{{{name}}} is not known here; a summary can name {known}")
        # A format within a format, or a width of a thousand: nobody could say how long the line gets.
        if form and ("{" in form or re.search(r"[0-9]{3}", form)):
            raise TextError(f"the format {form!r} of {{{name}}} is too elaborate; write one such as .1f")
    texts = dict.fromkeys(SUMMARY_NAMES, "text")
    try:
        summary.format_map({**texts, "value": -0.5, "threshold": -0.5})
        summary.format_map({**texts, "value": _MISSING, "threshold": _MISSING})
    except (ValueError, TypeError) as error:
        raise TextError(
            f"{summary!r} cannot be filled in: {error}; numbers take a format such as {{value:.1f}}"
        ) from error


def _as_written_here(template: re.Match[str]) -> str:
    """Return the name in braces that stands for an expression of a template."""
    words = re.findall(r"\w+", template[1])
    name = next((_NAMES_OF_TEMPLATES[word] for word in reversed(words) if word in _NAMES_OF_TEMPLATES), None)
    if name is None:
        return "{…}"
    if name not in ("value", "threshold"):
        return f"{{{name}}}"
    digits = re.search(r"%(\.\d+[feg])", template[1])
    return f"{{{name}:{digits[1] if digits else 'g'}}}"
