"""A function's environment as one typed value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


class MissingVariableError(RuntimeError):
    """The function was deployed without a variable that it needs."""


def load(settings: type[S], environ: Mapping[str, str]) -> S:
    """The settings in ``environ``: one text a field, under the field's name in capitals.

    Raises :class:`MissingVariableError` naming every variable that is not there.
    """
    names = {field: field.upper() for field in settings.__struct_fields__}
    missing = sorted(name for name in names.values() if not environ.get(name))
    if missing:
        raise MissingVariableError(f"missing environment variables: {', '.join(missing)}; the CDK app sets them")
    return settings(**{field: environ[name] for field, name in names.items()})
