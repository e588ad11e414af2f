"""Which alerts of a group share a message, so that filter policies on severity, rule and site select by alert.

SNS matches the attributes of a message one by one: a policy on ``severity: [page]`` and ``rule: [x]`` accepts a message
with one alert that pages and another of rule x. A message is therefore about alerts of the same severities only, and
has an alert for each of its severities, rules and sites taken together: whatever a policy selects, there is an alert in
the message that it means.
https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from telemetry.notifying.groups import Member
from telemetry.notifying.message import MAX_NAMES
from telemetry.rules.rule_set import SEVERITIES, Severity

T = TypeVar("T")

Severities = tuple[Severity, ...]


class Part(NamedTuple):
    """The alerts of one message, and its attributes."""

    severities: Severities
    rules: tuple[str, ...]
    sites: tuple[str, ...]
    members: list[Member]

    @property
    def combinations(self) -> Iterator[tuple[Severities, str, str]]:
        """The severities, rule and site of each alert that has a place in a message with these attributes."""
        return ((self.severities, rule, site) for rule in self.rules for site in self.sites)


def parts(members: Iterable[Member], severities: Callable[[Member], Severities]) -> list[Part]:
    """Split alerts into messages, the most severe first; one message where all have the same severities and one site.

    Alerts of several rules share a message where the rules have the same sites.
    """
    by_rule: dict[tuple[Severities, str], dict[str, list[Member]]] = {}
    for member in members:
        by_rule.setdefault((severities(member), member.rule), {}).setdefault(member.site, []).append(member)
    by_sites: dict[tuple[Severities, tuple[str, ...]], dict[str, list[Member]]] = {}
    for (severity, rule), by_site in sorted(by_rule.items(), key=lambda item: item[0][1]):
        for sites in _site_lists(by_site):
            about = [member for site in sites for member in by_site[site]]
            by_sites.setdefault((severity, sites), {})[rule] = about
    split = [
        Part(severity, tuple(rules), sites, [member for rule in rules for member in by_name[rule]])
        for (severity, sites), by_name in by_sites.items()
        for rules in _pieces(list(by_name))
    ]
    return sorted(split, key=lambda part: [-SEVERITIES.index(severity) for severity in reversed(part.severities)])


def _site_lists(sites: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield lists that fit into an attribute. An empty site has no attribute, so it shares none with others."""
    ordered = sorted(sites)
    if ordered and not ordered[0]:
        yield ("",)
        ordered = ordered[1:]
    yield from map(tuple, _pieces(ordered))


def _pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + MAX_NAMES] for start in range(0, len(items), MAX_NAMES))
