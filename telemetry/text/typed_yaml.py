"""Typed values of a YAML text: msgspec checks them; its errors come in a person's words, with line and column.

A type can say what to write in place of a wrong value, with a :class:`~telemetry.text.errors.Hint`.
"""

from __future__ import annotations

import datetime as dt
import re
import types
from typing import Annotated, Any, Literal, Optional, TypeVar, Union, get_args, get_origin

import msgspec

from telemetry.text.errors import Hint, TextError
from telemetry.text.yaml_text import Path, YamlText

_T = TypeVar("_T")

# PyYAML makes dates of what looks like one; they are refused as what they are.
_DATES = (dt.datetime, dt.date)
_UNIONS = (Union, getattr(types, "UnionType", Union))

#: A message of msgspec's, with the path of keys and indexes; ``[...]`` is a value of a dict with any keys.
_ERROR = re.compile(r"(?P<message>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[([0-9]+)\]|\[(\.\.\.)\]")
_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_KEY = re.compile(r"Object missing required field `(.*)`")
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
    """Return the text's data as a value of a type; raise :class:`TextError` where it does not fit."""
    try:
        return msgspec.convert(text.data, kind, builtin_types=_DATES)
    except msgspec.ValidationError as error:
        raise _Mismatch(text, kind, text.data).explain(str(error)) from error


class _Mismatch:
    """A part of the data that is not of the type that it should be."""

    def __init__(self, text: YamlText, kind: Any, data: Any, path: Path = (), *, is_key: bool = False) -> None:
        self._text = text
        self._kind, self._data, self._path, self._is_key = kind, data, path, is_key

    def explain(self, error: str) -> TextError:
        """Turn msgspec's message about this part."""
        match = _ERROR.fullmatch(error)
        message, steps = (match["message"], match["path"] or "") if match else (error, "")
        for key, index, any_key in _STEP.findall(steps):
            if any_key:
                return self._explain_mapping(message)
            self._enter(key or int(index))
        if match and match["key"]:
            return self._explain_mapping(message)
        if unknown := _UNKNOWN_KEY.fullmatch(message):
            known = ", ".join(_keys_of(_chosen(self._kind, self._data)))
            return self._text.error((*self._path, unknown[1]), f"there is no such key; there are {known}", at_key=True)
        if missing := _MISSING_KEY.fullmatch(message):
            return self._text.error(self._path, f"the key {missing[1]!r} is missing here; add it")
        return self._text.error(self._path, self._what_to_write(message), at_key=self._is_key)

    def _enter(self, part: Union[str, int]) -> None:
        self._kind, self._data = _part_of(self._kind, self._data, part), self._data[part]
        self._path = (*self._path, part)

    def _explain_mapping(self, message: str) -> TextError:
        """Find the wrong key or value of a mapping: msgspec does not say which it is."""
        key_kind, value_kind = get_args(_chosen(self._kind, self._data)) or (str, Any)
        for key, value in self._data.items():
            path = (*self._path, str(key))
            if error := _error_of(key, key_kind):
                return _Mismatch(self._text, key_kind, key, path, is_key=True).explain(error)
            if error := _error_of(value, value_kind):
                return _Mismatch(self._text, value_kind, value, path).explain(error)
        return self._text.error(self._path, message)

    def _what_to_write(self, message: str) -> str:
        if hint := hint_of(self._kind):
            shown = repr(self._data)
            return f"invalid {hint.what} {shown[:60]}{'…' if len(shown) > 60 else ''}: write {hint.write}"
        if message.startswith("Invalid "):
            choices = ", ".join(map(str, get_args(_chosen(self._kind, self._data))))
            return f"there is no such {self._path[-1]}; there are {choices}"
        return _in_words(message)


def explain(error: msgspec.ValidationError) -> str:
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


def _part_of(kind: Any, data: Any, part: Union[str, int]) -> Any:
    """Return the type of a field, or of an item."""
    kind = _chosen(kind, data)
    if isinstance(part, int):
        return get_args(kind)[0]
    if get_origin(kind) in _UNIONS:  # of structs, and the tag fits none of them
        return Literal[tuple(member.__struct_config__.tag for member in get_args(kind))]
    return next((field.type for field in msgspec.structs.fields(kind) if field.encode_name == part), Any)


def _keys_of(struct: Any) -> list[str]:
    tag = struct.__struct_config__.tag_field
    names = [field.encode_name for field in msgspec.structs.fields(struct)]
    return sorted([*names, tag] if tag else names)
