"""Edits of rules and registry in the middle of a test: what is in use from then on."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from evaluation.rule_tests.notation import EditSection
from telemetry.registry.registry import Device, Registry
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from telemetry.text.errors import MistakesError, TextError
from telemetry.text.yaml_text import YamlText

#: The place in a text that nobody wrote.
_PLACE = re.compile(r"line [0-9]+, column [0-9]+: ")


class Editor:
    """A rules file and a registry as they are edited, one edit after the other."""

    def __init__(self, rules: str, registry: Registry) -> None:
        """Begin with a rules file that can be used."""
        self._file: dict[str, Any] = copy.deepcopy(YamlText(rules).data)
        self._registry = registry

    def edit(self, section: EditSection) -> RuleSet:
        """Return what is in use after an edit; raise :class:`TextError`."""
        for name, change in section.rules.items():
            self._edit_rule(name, change)
        if section.inhibit is not None:
            self._file["inhibit"] = section.inhibit
        self._registry = edited_registry(self._registry, section.registry)
        try:
            return parse_rules(msgspec.json.encode(self._file).decode(), self._registry)
        except MistakesError as error:
            found = (_PLACE.sub("", str(mistake).splitlines()[0]) for mistake in error.mistakes)
            raise TextError("; ".join(found)) from error

    def _edit_rule(self, name: str, change: dict[str, Any] | None) -> None:
        rules: list[dict[str, Any]] = self._file["rules"]
        place = next((place for place, rule in enumerate(rules) if rule["name"] == name), None)
        if change is None:
            if place is None:
                names = ", ".join(str(rule["name"]) for rule in rules) or "none"
                raise TextError(f"there is no rule {name!r} to remove; there are {names}")
            del rules[place]
        elif place is None:
            rules.append({"name": name, **change})
        else:
            rules[place] = _patched(rules[place], change)


def edited_registry(registry: Registry, change: Mapping[str, Mapping[str, str] | None]) -> Registry:
    """Return the registry with devices added, changed, or removed (None)."""
    attributes = tuple(
        dict.fromkeys([*registry.attributes, *(n for row in change.values() for n in row or () if n != "site")])
    )
    devices = {
        name: Device(device.site, {key: device.attributes.get(key, "") for key in attributes})
        for name, device in registry.devices.items()
        if change.get(name, {}) is not None
    }
    for name, row in change.items():
        if row is not None:
            before = devices.get(name) or Device("", dict.fromkeys(attributes, ""))
            values = {key: value for key, value in row.items() if key != "site"}
            devices[name] = Device(row.get("site", before.site), {**before.attributes, **values})
    return Registry(attributes, devices)


def _patched(data: Any, change: Any) -> Any:
    """Return data after a merge patch (RFC 7386)."""
    if not isinstance(change, dict):
        return change
    merged = dict(data) if isinstance(data, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _patched(merged.get(key), value)
    return merged
