"""Types of the sections of a rules file; :mod:`telemetry.rules.parse` checks what the values mean."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Annotated, Any, NamedTuple, Optional, TypeVar

import msgspec

from telemetry.text.durations import WholeSeconds
from telemetry.text.errors import MistakesError, TextError
from telemetry.text.typed_yaml import convert, fits, fitting
from telemetry.text.yaml_text import YamlText

_T = TypeVar("_T")

# Every transition of an alert carries the summary and the runbook, and many have to fit into a message of the queue.
_Line = Annotated[str, msgspec.Meta(max_length=500)]
_Glob = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
# The changes of a flapping alert are kept in its gateway's state, which is one item.
_Changes = Annotated[int, msgspec.Meta(ge=2, le=100)]


class _Section(msgspec.Struct, forbid_unknown_fields=True, rename={"hold_for": "for"}):
    """A mapping of the file."""


class FlappingSection(_Section):
    """``flapping``: each key can be left out by itself."""

    changes: Optional[_Changes] = None
    window: Optional[WholeSeconds] = None


class SettingsSection(_Section):
    """``defaults``, and the same keys of each rule."""

    severity: Optional[str] = None
    hold_for: Optional[WholeSeconds] = None
    keep_firing_for: Optional[WholeSeconds] = None
    repeat_interval: Optional[WholeSeconds] = None
    group_by: Optional[list[str]] = None
    group_wait: Optional[WholeSeconds] = None
    group_interval: Optional[WholeSeconds] = None
    flapping: FlappingSection = msgspec.field(default_factory=FlappingSection)


class EscalationSection(_Section, kw_only=True):
    """``escalate`` of a rule."""

    after: WholeSeconds
    to: str


class RuleSection(SettingsSection, kw_only=True):
    """One of ``rules``."""

    name: str
    when: str
    clear: Optional[str] = None
    # By name: the registry says which attributes there are.
    match: dict[str, _Glob] = {}
    escalate: Optional[EscalationSection] = None
    summary: _Line = ""
    runbook: _Line = ""


class InhibitionSection(_Section, kw_only=True):
    """One of ``inhibit``."""

    source: _Glob
    target: _Glob = "*"
    equal: list[str]


class RuleFile(_Section):
    """The whole file."""

    rules: list[RuleSection]
    defaults: SettingsSection = msgspec.field(default_factory=SettingsSection)
    inhibit: list[InhibitionSection] = []


class Sections(NamedTuple):
    """The sections of a file that can be used, rules and inhibitions by their index, and the mistakes in it.

    ``broken`` are the indexes of the rules that have mistakes, with which they may be here without some of their keys;
    ``names`` are the names of all rules.
    """

    defaults: SettingsSection
    rules: dict[int, RuleSection]
    inhibit: dict[int, InhibitionSection]
    names: Sequence[str]
    broken: Container[int] = ()
    mistakes: Sequence[TextError] = ()


def read_file(text: YamlText) -> Sections:
    """Return the sections of the file; raise :class:`~telemetry.text.errors.TextError` where there are none."""
    if text.data is None:
        raise TextError("the file is empty; write rules: and under it a list of them, or rules: [] for none")
    try:
        file = convert(text, RuleFile)
    except MistakesError as error:
        if not isinstance(text.data, dict):
            raise
        return _usable(text.data, error.mistakes)
    names = [rule.name for rule in file.rules]
    return Sections(file.defaults, dict(enumerate(file.rules)), dict(enumerate(file.inhibit)), names)


def _usable(data: dict[str, Any], mistakes: Sequence[TextError]) -> Sections:
    defaults = data.get("defaults", {})
    rules, inhibit = (items if isinstance(items, list) else [] for items in (data.get("rules"), data.get("inhibit")))
    names = [rule.get("name") for rule in rules if isinstance(rule, dict)]
    # A rule goes without what is wrong with the defaults, too.
    broken = {
        index for index, rule in enumerate(rules) if not (fits(rule, RuleSection) and fits(defaults, SettingsSection))
    }
    return Sections(
        defaults=fitting(defaults, SettingsSection) or SettingsSection(),
        rules=_usable_items(rules, RuleSection),
        inhibit=_usable_items(inhibit, InhibitionSection),
        names=[name for name in names if isinstance(name, str)],
        broken=broken,
        mistakes=mistakes,
    )


def _usable_items(items: list[Any], kind: type[_T]) -> dict[int, _T]:
    usable = ((index, fitting(item, kind)) for index, item in enumerate(items))
    return {index: item for index, item in usable if item is not None}
