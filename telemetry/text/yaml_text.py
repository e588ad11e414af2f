"""A YAML text that a person wrote: its data, and errors that point at the place in the text."""

from __future__ import annotations

from typing import Any, Optional, Union

import yaml

from telemetry.text.errors import TextError, place_of

Path = tuple[Union[str, int], ...]

# libyaml if it is installed: some ten times as fast.
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

#: The deepest nesting of a file, about twice that of a file with everything in it.
_MAX_DEPTH = 10

#: The lists whose items messages name, and what they call one.
_NAMED: dict[Union[str, int], str] = {"rules": "rule", "tests": "test"}


class YamlText:
    """A YAML document. It is parsed once: the nodes of its data know their places."""

    def __init__(self, text: Union[str, bytes]) -> None:
        self._text = _decoded(text)
        self._root: Optional[yaml.Node] = None
        #: Dictionaries, lists and plain values.
        self.data: Any = None
        try:
            self._read()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error_at(
                mark.index if mark else 0, f"invalid YAML: {error.problem or error.context}"
            ) from error
        except TextError:
            raise
        # PyYAML raises these for characters that it refuses, and for values that its constructors do not expect.
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
            raise TextError(f"invalid YAML: {error}") from error

    def _read(self) -> None:
        self._refuse_nesting()
        loader = _Loader(self._text)
        try:
            self._root = loader.get_single_node()
            if self._root is not None:
                self._refuse_repeated_keys(self._root, set())
                self.data = loader.construct_document(self._root)
        finally:
            loader.dispose()

    def _refuse_nesting(self) -> None:
        """Refuse deep nesting: PyYAML recurses, and at tens of thousands of levels the process dies."""
        depth = 0
        for event in yaml.parse(self._text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH and event.start_mark:
                raise self._error_at(event.start_mark.index, "this is nested too deep")

    def _refuse_repeated_keys(self, node: yaml.Node, seen: set[int]) -> None:
        """Refuse a key that is given twice: PyYAML would keep the last one without a word."""
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            return
        seen.add(id(node))
        keys: set[str] = set()
        for item in node.value:
            key, value = item if isinstance(node, yaml.MappingNode) else (None, item)
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise self._error_at(key.start_mark.index, f"{key.value!r} is given twice")
                keys.add(key.value)
            self._refuse_repeated_keys(value, seen)

    def error(self, path: Path, message: str, *, at_key: bool = False, offset: Optional[int] = None) -> TextError:
        """Return an error at a path of keys and indexes from the root, or at the last part of it that exists.

        It points at the value, with ``at_key`` at its key, with ``offset`` at that character of the value.
        """
        node, index = self._root, 0
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            key, node = found
            index = (key if at_key else node).start_mark.index
        if isinstance(node, yaml.ScalarNode) and offset is not None:
            index = self._place_in(node, offset)
        return self._error_at(index, f"{self._named(path)}{message}")

    def _place_in(self, node: yaml.ScalarNode, offset: int) -> int:
        """Return the place in the text of a character of a scalar's value; the value's start where that is not certain.

        Whatever the style of the scalar, quoted or not, folded or literal, only white space is written differently in
        the text and in the value. (And what is escaped: hence the comparison.)
        """
        start, end = node.start_mark.index, node.end_mark.index
        if node.style in ("|", ">"):
            start = self._text.find("\n", start, end) + 1
        elif node.style:
            start = self._text.find(node.style, start, end) + 1
        wanted = offset - sum(map(str.isspace, node.value[:offset]))
        solid = (place for place in range(start, end) if not self._text[place].isspace())
        last = start - 1
        for letter in node.value[:offset] + node.value[offset : offset + 1]:
            if letter.isspace():
                continue
            place = next(solid, None)
            if place is None or self._text[place] != letter:
                return node.start_mark.index
            if wanted == 0:
                return place
            wanted, last = wanted - 1, place
        return last + 1

    def _named(self, path: Path) -> str:
        """Return the keys of a path for a message; a rule or a test by its name if it has one."""
        words = [part for part in path if isinstance(part, str)]
        if len(path) >= 2 and path[0] in _NAMED and isinstance(path[1], int):
            item = self.data[path[0]][path[1]]
            name = item.get("name") if isinstance(item, dict) else None
            words[0] = f"{_NAMED[path[0]]} {name!r}" if isinstance(name, str) else f"{_NAMED[path[0]]} {path[1] + 1}"
        return "".join(f"{word}: " for word in words)

    def _error_at(self, index: int, message: str) -> TextError:
        place = place_of(self._text, min(index, len(self._text)))
        return TextError(
            f"line {place.line}, column {place.column}: {message}\n{place.shown}", (place.line, place.column)
        )


def _decoded(text: Union[str, bytes]) -> str:
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise TextError(f"the file is not written in UTF-8: {error}") from error
    return decoded.removeprefix("\ufeff")


def _child(node: Optional[yaml.Node], part: Union[str, int]) -> Optional[tuple[yaml.Node, yaml.Node]]:
    """Return the key and the value of a part of a mapping; of a sequence, the item twice."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), None)
    return None
