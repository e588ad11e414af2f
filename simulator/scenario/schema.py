"""JSON Schema of scenario files, for editors: ``python -m simulator.scenario.schema > docs/scenario.schema.json``."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from simulator.scenario.scenario import Scenario


def schema() -> dict[str, Any]:
    """Return the JSON Schema of scenario files. It cannot check references, such as a site's name."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Scenario",
        "description": "A fleet for the simulator, and what happens to it: a file for iot simulate --scenario",
        **msgspec.json.schema(Scenario),
    }


def text() -> str:
    """Return the schema as it is written to its file."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
