"""The fields of a reading as data: kind, bounds and choices, for whoever builds SQL or tables from them."""

from __future__ import annotations

from typing import Literal, Optional, Union, cast

import msgspec
from msgspec import inspect

from telemetry.reading.model import Reading

Kind = Literal["string", "timestamp", "integer", "number", "boolean"]


class Field(msgspec.Struct, frozen=True):
    """One field of :class:`~telemetry.reading.model.Reading`, or of another struct of plain values.

    ``minimum`` and ``maximum`` bound a number by value and a string by length in characters; ``choices``
    are the only strings allowed, where there are any.
    """

    name: str
    kind: Kind
    required: bool
    nullable: bool
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    choices: tuple[str, ...] = ()


def _field(field: inspect.Field) -> Field:
    kinds = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    nullable = any(isinstance(kind, inspect.NoneType) for kind in kinds)
    (kind,) = (kind for kind in kinds if not isinstance(kind, inspect.NoneType))
    required, name = field.required, field.encode_name
    if isinstance(kind, inspect.LiteralType):
        return Field(name, "string", required, nullable, choices=cast("tuple[str, ...]", kind.values))
    if isinstance(kind, inspect.StrType):
        return Field(name, "string", required, nullable, kind.min_length, kind.max_length)
    if isinstance(kind, inspect.DateTimeType):
        return Field(name, "timestamp", required, nullable)
    if isinstance(kind, inspect.BoolType):
        return Field(name, "boolean", required, nullable)
    number = cast("Union[inspect.IntType, inspect.FloatType]", kind)
    return Field(
        name, "integer" if isinstance(kind, inspect.IntType) else "number", required, nullable, number.ge, number.le
    )


def fields_of(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The fields of ``Reading``, or of another struct of plain values, in the order they are declared and encoded."""
    return tuple(_field(field) for field in cast("inspect.StructType", inspect.type_info(struct)).fields)


#: The fields of a reading.
FIELDS = fields_of(Reading)

#: The names of what a device measures: the numbers that may be null.
METRICS = tuple(field.name for field in FIELDS if field.kind == "number")
