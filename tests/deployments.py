"""A deployment whose names say what they are, for tests that need one and ask nothing of AWS."""

from __future__ import annotations

from typing import Any

from pipeline.deployment import Deployment


def named_deployment(**known: Any) -> Deployment:
    """Return a deployment with ``known`` fields; every other text is ``the-`` and the field's name."""
    fields: dict[str, Any] = {
        field: f"the-{field.replace('_', '-')}" for field, kind in Deployment.__annotations__.items() if kind == "str"
    }
    return Deployment(**fields | known)
