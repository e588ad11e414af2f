"""Types of the sections of a rules file; :mod:`telemetry.rules.parse` checks what the values mean."""

from __future__ import annotations

from typing import Annotated, Optional

import msgspec

from telemetry.text.durations import WholeSeconds
from telemetry.text.errors import TextError
from telemetry.text.typed_yaml import convert
from telemetry.text.yaml_text import YamlText

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


def read_file(text: YamlText) -> RuleFile:
    """Return the sections of the file; raise :class:`~telemetry.text.errors.TextError` where one does not fit."""
    if text.data is None:
        raise TextError("the file is empty; write rules: and under it a list of them, or rules: [] for none")
    return convert(text, RuleFile)
