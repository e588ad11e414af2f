"""Outcome of a test of alert rules: what was expected next to what was seen."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

Kind = Literal["alert", "transition", "notification", "order"]

#: The facts that are shown of what nobody expected, and without their names.
_MAIN = ("status", "change", "reason", "state", "severity")


class Item(NamedTuple):
    """Something that is so, or happens, ``at`` a time since the start.

    ``about`` is what it is compared by: the rule and the device of an alert (or the gateway of one about itself).
    ``facts`` are what is said of it; of an expected one, only those that are compared.
    """

    at: dt.timedelta
    about: tuple[str, ...]
    facts: Mapping[str, Any]

    @property
    def rule(self) -> str:
        """The rule of an alert or a transition."""
        return self.about[0] if self.about else ""

    def __str__(self) -> str:
        facts = dict(self.facts)
        subject = [*self.about[:-1], self.about[-1] or facts.pop("gateway", "")] if self.about else []
        return " ".join([*filter(None, subject), *(_shown(name, value) for name, value in facts.items())]) or "any"

    def allows(self, seen: Item) -> bool:
        """Return whether ``seen`` is what this one expects."""
        return self.at == seen.at and self.about == seen.about and _fits(self.facts, seen.facts)

    def beside(self, expected: Item | None) -> Item:
        """Return it without the facts that nobody asked for."""
        asked = dict(expected.facts) if expected else dict.fromkeys(("firing", "resolved", "alerts"))
        if self.about and not self.about[-1]:
            asked["gateway"] = ""
        shown = {
            name: _narrowed(value, asked.get(name))
            for name, value in self.facts.items()
            if name in _MAIN or name in asked
        }
        return self._replace(facts=shown)


def _narrowed(value: Any, asked: Any) -> Any:
    """Return a fact without what nobody asked for: of attributes, and of each alert of a notification."""
    if isinstance(value, Mapping) and isinstance(asked, Mapping):
        return {name: value.get(name, frozenset()) for name in asked}
    if isinstance(value, list):
        names = {name: None for item in asked or () for name in item.facts}
        return [item.beside(item._replace(facts=names)) for item in value]
    return value


def _shown(name: str, value: Any) -> str:
    if name in _MAIN:
        return str(value)
    if isinstance(value, list):
        return f"{name} [{', '.join(map(str, value))}]"
    if isinstance(value, Mapping):
        return f"{name} {{{', '.join(f'{key}: {_listed(each)}' for key, each in value.items())}}}"
    return f"{name} {_listed(value)}"


def _listed(value: Any) -> str:
    if isinstance(value, frozenset):
        return next(iter(value)) if len(value) == 1 else f"[{', '.join(sorted(value))}]"
    return str(value)


def _fits(expected: Any, seen: Any) -> bool:
    """Whether what was seen has all that is expected; of alerts and of values of an attribute, no more either."""
    if isinstance(expected, Mapping):
        return all(_fits(value, seen.get(name, frozenset())) for name, value in expected.items())
    if isinstance(expected, list):
        rest = list(seen)
        for item in expected:
            match = next((other for other in rest if item.allows(other)), None)
            if match is None:
                return False
            rest.remove(match)
        return not rest
    return bool(expected == seen)


class Row(NamedTuple):
    """Expected and seen at one time; None if there is nothing."""

    kind: Kind
    at: dt.timedelta
    expected: Item | None
    seen: Item | None

    @property
    def agrees(self) -> bool:
        """Whether what was seen is what was expected."""
        return bool(self.expected and self.seen and self.expected.allows(self.seen))


class Outcome(NamedTuple):
    """A test that was run, with all that it compared."""

    name: str
    rows: list[Row]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return all(row.agrees for row in self.rows)


def compare(kind: Kind, expected: Sequence[Item], seen: Sequence[Item]) -> list[Row]:
    """Pair each with its like, by time: first what agrees, then what is about the same, then the rest."""
    rest = _by_likeness(seen)
    wanted, rows = list(expected), []
    for fits in (Item.allows, lambda _one, _other: True):
        unmatched = []
        for item in wanted:
            candidates = rest[item.at, item.about]
            place = next((place for place, other in enumerate(candidates) if fits(item, other)), None)
            if place is None:
                unmatched.append(item)
            else:
                rows.append(Row(kind, item.at, item, candidates.pop(place).beside(item)))
        wanted = unmatched
    rows += [Row(kind, item.at, item, None) for item in wanted]
    rows += [Row(kind, item.at, None, item.beside(None)) for items in rest.values() for item in items]
    return sorted(rows, key=lambda row: row.at)


def _by_likeness(items: Iterable[Item]) -> dict[tuple[dt.timedelta, tuple[str, ...]], list[Item]]:
    found: dict[tuple[dt.timedelta, tuple[str, ...]], list[Item]] = defaultdict(list)
    for item in items:
        found[item.at, item.about].append(item)
    return found
