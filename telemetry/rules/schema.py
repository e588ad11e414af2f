"""Types of the parts of a rules file; :mod:`telemetry.rules.parse` checks what the values mean."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Optional

import msgspec

from telemetry.text.errors import RulesError
from telemetry.text.yaml_text import Path, RuleText

# Every transition of an alert carries the summary and the runbook, and many have to fit into a message of the queue.
_Line = Annotated[str, msgspec.Meta(max_length=500)]
_Glob = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
# A flapping alert's changes are kept in its gateway's state, which is one item.
_Changes = Annotated[int, msgspec.Meta(ge=2, le=100)]


class Part(msgspec.Struct, forbid_unknown_fields=True, rename={"hold_for": "for"}):
    """A mapping of the file."""


class FlappingPart(Part):
    """``flapping``: each key can be left out by itself."""

    changes: Optional[_Changes] = None
    window: Optional[str] = None


class SettingsPart(Part):
    """What ``defaults`` and each rule can say."""

    severity: Optional[str] = None
    hold_for: Optional[str] = None
    keep_firing_for: Optional[str] = None
    repeat_interval: Optional[str] = None
    group_by: Optional[list[str]] = None
    group_wait: Optional[str] = None
    group_interval: Optional[str] = None
    flapping: FlappingPart = msgspec.field(default_factory=FlappingPart)


class EscalationPart(Part, kw_only=True):
    """``escalate`` of a rule."""

    after: str
    to: str


class RulePart(SettingsPart, kw_only=True):
    """One of ``rules``."""

    name: str
    when: str
    clear: Optional[str] = None
    # By name: which attributes there are, the registry says. msgspec would not say where in a dict a value is wrong.
    match: dict[str, Any] = {}
    escalate: Optional[EscalationPart] = None
    summary: _Line = ""
    runbook: _Line = ""


class InhibitionPart(Part, kw_only=True):
    """One of ``inhibit``."""

    source: _Glob
    target: _Glob = "*"
    equal: list[str]


class RuleFile(Part):
    """The whole file."""

    rules: list[RulePart]
    defaults: SettingsPart = msgspec.field(default_factory=SettingsPart)
    inhibit: list[InhibitionPart] = []


_PARTS: dict[str, type[Part]] = {
    "rules": RulePart,
    "defaults": SettingsPart,
    "inhibit": InhibitionPart,
    "escalate": EscalationPart,
    "flapping": FlappingPart,
}
# PyYAML makes dates of what looks like one; they are refused as what they are.
_DATES = (dt.datetime, dt.date)
_DURATIONS = ("for", "keep_firing_for", "repeat_interval", "group_wait", "group_interval", "window", "after")
_ERROR = re.compile(r"(?P<message>.*?)(?: - at (?:`.*` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[([0-9]+)\]")
_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_KEY = re.compile(r"Object missing required field `(.*)`")
_TYPE = re.compile(r"`(\w+)(?: \| null)?`")
_TYPES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "array": "a list",
    "object": "keys with values",
    "date": "a date",
    "datetime": "a date",
}


def read_file(text: RuleText) -> RuleFile:
    """The parts of the file; raises :class:`~telemetry.text.errors.RulesError` for what has no place in one."""
    if text.data is None:
        raise RulesError("the file is empty; write rules: and under it a list of them, or rules: [] for none")
    try:
        return msgspec.convert(text.data, RuleFile, builtin_types=_DATES)
    except msgspec.ValidationError as error:
        raise _in_words(str(error), text) from error


def read_glob(text: RuleText, path: Path, value: object) -> str:
    """The value at a path as a glob; raises :class:`~telemetry.text.errors.RulesError` for what is none."""
    try:
        return msgspec.convert(value, _Glob, builtin_types=_DATES)
    except msgspec.ValidationError as error:
        raise _in_words(str(error), text, path) from error


def _in_words(error: str, text: RuleText, root: Path = ()) -> RulesError:
    """What msgspec says of the value at ``root``, with the place in the file and for people."""
    match = _ERROR.fullmatch(error)
    message, steps = (match["message"], match["path"] or "") if match else (error, "")
    path: Path = (*root, *(key or int(index) for key, index in _STEP.findall(steps)))
    part = next((_PARTS[key] for key in reversed(path) if isinstance(key, str) and key in _PARTS), RuleFile)
    if unknown := _UNKNOWN_KEY.fullmatch(message):
        known = ", ".join(sorted(field.encode_name for field in msgspec.structs.fields(part)))
        message = f"there is no such key; there are {known}"
        return text.error((*path, unknown[1]), message, at_key=True)
    if missing := _MISSING_KEY.fullmatch(message):
        return text.error(path, f"the key {missing[1]!r} is missing")
    message = _TYPE.sub(lambda found: _TYPES.get(found[1], found[0]), message).replace("Expected", "expected")
    if path and path[-1] in _DURATIONS:
        message += "; a duration is written 90s, 5m or 1h30m"
    return text.error(path, message)
