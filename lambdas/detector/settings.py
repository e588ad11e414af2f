"""The detector's environment as one typed value."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class MissingVariableError(RuntimeError):
    """The function was deployed without a variable that it needs."""


class Settings(msgspec.Struct, frozen=True):
    """One field a variable; its name is the field's in capitals."""

    stage: str
    state_table: str
    alerts_topic_arn: str
    config_bucket: str
    rules_key: str


def load(environ: Mapping[str, str]) -> Settings:
    """The settings in ``environ``; raises :class:`MissingVariableError` naming every one that is not there."""
    names = {field: field.upper() for field in Settings.__struct_fields__}
    missing = sorted(name for name in names.values() if not environ.get(name))
    if missing:
        raise MissingVariableError(f"missing environment variables: {', '.join(missing)}; the CDK app sets them")
    return Settings(**{field: environ[name] for field, name in names.items()})
