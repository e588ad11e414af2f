"""Typed values of a YAML text: msgspec checks them; its errors come in a person's words, with line and column.

A type can say what to write in place of a wrong value, with a :class:`~telemetry.text.errors.Hint`.
"""

from __future__ import annotations

import datetime as dt
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Optional, TypeVar, Union, get_args, get_origin

import msgspec

from telemetry.text.errors import Hint, MistakesError, TextError
from telemetry.text.yaml_text import Path, YamlText

_T = TypeVar("_T")

# PyYAML makes dates of what looks like one; they are refused as what they are.
_DATES = (dt.datetime, dt.date)
_UNIONS = (Union, getattr(types, "UnionType", Union))

#: A message of msgspec's, with the path of keys and indexes.
_ERROR = re.compile(r"(?P<message>.*?)(?: - at (?:`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_TYPE = re.compile(r"`([\w |]+?)(?: \| null)?`")
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


def convert(text: YamlText, kind: type[_T]) -> _T:
    """Return the text's data as a value of a type; raise :class:`MistakesError` where it does not fit."""
    try:
        return msgspec.convert(text.data, kind, builtin_types=_DATES)
    except msgspec.ValidationError as error:
        raise MistakesError(list(_mistakes(text, kind, text.data, ()))) from error


def fits(data: object, kind: Any) -> bool:
    """Whether data can be converted to a type."""
    return not _error_of(data, kind)


def fitting(data: object, kind: type[_T]) -> Optional[_T]:
    """Return data as a value of a type, without the keys that do not fit; None where it cannot do without them."""
    data = _pruned(data, kind)
    return msgspec.convert(data, kind, builtin_types=_DATES) if fits(data, kind) else None


def _pruned(data: Any, kind: Any) -> Any:
    if not (isinstance(data, dict) and hasattr(kind, "__struct_config__")):
        return data
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    kept = {key: _pruned(value, _chosen(fields[key], value)) for key, value in data.items() if key in fields}
    return {key: value for key, value in kept.items() if fits(value, fields[key])}


def _mistakes(text: YamlText, kind: Any, data: Any, path: Path) -> Iterator[TextError]:
    """Return what is wrong with a part of the data, at the smallest parts that do not fit."""
    chosen = _chosen(kind, data)
    found = 0
    for mistake in _mistakes_within(text, chosen, data, path):
        found += 1
        yield mistake
    if not found and (message := _error_of(data, kind)):
        yield text.error(path, _what_to_write(kind, data, path, message))


def _mistakes_within(text: YamlText, kind: Any, data: Any, path: Path) -> Iterator[TextError]:
    if isinstance(data, dict) and get_origin(kind) in _UNIONS and (tags := _tags_of(kind)):
        tag = next(iter(tags.values()))
        if tag in data:
            yield text.error((*path, tag), f"there is no such {tag}; there are {', '.join(tags)}")
        else:
            yield text.error(path, f"the key {tag!r} is missing here; add it")
    elif isinstance(data, dict) and hasattr(kind, "__struct_config__"):
        yield from _mistakes_of_struct(text, kind, data, path)
    elif isinstance(data, dict) and get_origin(kind) is dict:
        key_kind, value_kind = get_args(kind)
        for key, value in data.items():
            at = (*path, str(key))
            if message := _error_of(key, key_kind):
                yield text.error(at, _what_to_write(key_kind, key, at, message), at_key=True)
            yield from _mistakes(text, value_kind, value, at)
    elif isinstance(data, list) and get_origin(kind) in (list, tuple):
        for index, item in enumerate(data):
            yield from _mistakes(text, get_args(kind)[0], item, (*path, index))


def _mistakes_of_struct(text: YamlText, kind: Any, data: dict[Any, Any], path: Path) -> Iterator[TextError]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    known = sorted([*fields, *filter(None, [kind.__struct_config__.tag_field])])
    unknown = [key for key in data if key not in known]
    for key in unknown:
        message = explain(_error_of(key, str)) or f"there is no such key; there are {', '.join(known)}"
        yield text.error((*path, str(key)), message, at_key=True)
    for name, field in fields.items():
        if name in data:
            yield from _mistakes(text, field.type, data[name], (*path, name))
        elif field.required and not unknown:  # it is misspelt, most likely
            yield text.error(path, f"the key {name!r} is missing here; add it")


def _what_to_write(kind: Any, data: Any, path: Path, message: str) -> str:
    if hint := hint_of(kind):
        shown = repr(data)
        return f"invalid {hint.what} {shown[:60]}{'…' if len(shown) > 60 else ''}: write {hint.write}"
    if message.startswith("Invalid "):
        return f"there is no such {path[-1]}; there are {', '.join(map(str, get_args(_chosen(kind, data))))}"
    return explain(message)


def explain(error: Union[msgspec.ValidationError, str]) -> str:
    """Return msgspec's message about a value that was not read from a text: the field, and what was expected."""
    match = _ERROR.fullmatch(str(error))
    path = (match and match["path"]) or ""
    return ": ".join(filter(None, (path.lstrip("."), _in_words(match["message"] if match else str(error)))))


def _in_words(message: str) -> str:
    return _TYPE.sub(
        lambda found: " or ".join(_TYPES.get(name, name) for name in found[1].split(" | ")),
        message.replace("Expected", "expected"),
    )


def _error_of(value: object, kind: Any) -> str:
    """Return msgspec's message about a value that is not of a type; empty if it is."""
    try:
        msgspec.convert(value, kind, builtin_types=_DATES)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def hint_of(kind: Any) -> Optional[Hint]:
    """Return the hint in a type's annotation, if it has one."""
    if get_origin(kind) is Annotated:
        return next((part for part in get_args(kind) if isinstance(part, Hint)), None) or hint_of(get_args(kind)[0])
    if get_origin(kind) in _UNIONS:
        return next((hint for hint in map(hint_of, get_args(kind)) if hint), None)
    return None


def _chosen(kind: Any, data: Any) -> Any:
    """Return a type without annotations; of a union, the member that the data is meant to be, where that is certain."""
    if get_origin(kind) is Annotated:
        return _chosen(get_args(kind)[0], data)
    if get_origin(kind) not in _UNIONS:
        return kind
    members = [member for member in get_args(kind) if member is not type(None)]
    if len(members) == 1:
        return _chosen(members[0], data)
    return next((member for member in members if _is_tagged(member, data)), kind)


def _is_tagged(member: Any, data: Any) -> bool:
    config = getattr(member, "__struct_config__", None)
    return config is not None and isinstance(data, dict) and bool(data.get(config.tag_field) == config.tag)


def _tags_of(union: Any) -> dict[str, str]:
    """Return the tags of a union's structs, each with the key that it stands under."""
    configs = [member.__struct_config__ for member in get_args(union) if hasattr(member, "__struct_config__")]
    return {config.tag: config.tag_field for config in configs if config.tag_field}
