"""Allow the editable install of a clone and refuse every other build: docs/adr/0016-no-wheel.md."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableOnly(BuildHookInterface[Any]):
    """The hook that hatchling calls before it builds."""

    def initialize(self, version: str, _build_data: dict[str, Any]) -> None:
        """Refuse a wheel and a source distribution."""
        if version != "editable":
            raise SystemExit("iot-pipeline has no wheel: clone the repository and run 'make setup' in it")
