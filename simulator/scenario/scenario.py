"""Scenario files: a fleet, its sites and models, and what goes wrong, as a person writes it in YAML.

The structs are the definition: the JSON Schema for editors (docs/scenario.schema.json) and the errors follow from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated
from zoneinfo import available_timezones

import msgspec
from msgspec import Meta

from simulator.models.devices import BUILT_IN, Model
from simulator.models.lengths import EXAMPLES, Span, seconds
from simulator.models.sites import Count, Name, Site, Weather
from simulator.scenario.faults import FAULT_KINDS, METRICS, Fault, matches
from telemetry.text.errors import RulesError
from telemetry.text.yaml_text import Path as Place
from telemetry.text.yaml_text import RuleText

#: Seeds are from 0 up to this.
LARGEST_SEED = 2**63 - 1


class ScenarioError(ValueError):
    """A scenario cannot be used; the message says where, what is wrong with it and what to write."""


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many devices of a model, spread evenly over the sites."""

    model: Annotated[str, Meta(description="A built-in model (indoor, outdoor, freezer, greenhouse), or one of models")]
    count: Annotated[Count, Meta(description="How many devices")]
    sites: Annotated[tuple[str, ...], Meta(description="At which sites, by glob; all by default")] = ("*",)
    interval: Annotated[Span | None, Meta(description="How often each reports; as the scenario says by default")] = None


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fleet and what happens to it. The same scenario, started at the same time, gives the same lines."""

    name: Annotated[Name, Meta(description="What it is called")]
    description: Annotated[str, Meta(description="What happens, in a line")] = ""
    seed: Annotated[
        int, Meta(ge=0, le=LARGEST_SEED, description="The same seed gives the same lines, another gives others")
    ] = 0
    length: Annotated[Span, Meta(description="How long a run takes, unless asked otherwise")] = msgspec.field(
        default="1h", name="duration"
    )
    interval: Annotated[Span, Meta(description="How often a device reports that does not say otherwise")] = "10s"
    sites: Annotated[tuple[Site, ...], Meta(min_length=1, description="Where devices stand")] = (Site(name="site-1"),)
    weather: Annotated[Weather, Meta(description="How it departs from the usual")] = Weather()
    models: Annotated[
        dict[Name, Model], Meta(description="Models by name, added to the built-in ones, or in their place")
    ] = {}
    devices: Annotated[tuple[Group, ...], Meta(min_length=1, description="Which devices there are")]
    faults: Annotated[tuple[Fault, ...], Meta(description="What goes wrong")] = ()

    @property
    def duration(self) -> float:
        """How long a run takes, in seconds."""
        return seconds(self.length)

    @property
    def all_models(self) -> dict[str, Model]:
        """The built-in models and the scenario's own."""
        return {**BUILT_IN, **self.models}

    @property
    def size(self) -> int:
        """How many devices there are."""
        return sum(group.count for group in self.devices)

    def resized(self, devices: int) -> Scenario:
        """The same with so many devices in all, in the same proportions. Raises :class:`ScenarioError`."""
        if devices < len(self.devices):
            raise ScenarioError(
                f"the scenario {self.name!r} has {len(self.devices)} kinds of devices; take at least as many devices"
            )
        total, taken, groups = self.size, 0, []
        for place, group in enumerate(self.devices):
            left = len(self.devices) - place - 1
            upto = sum(earlier.count for earlier in self.devices[: place + 1]) * devices // total
            count = min(max(1, upto - taken), devices - taken - left)
            groups.append(msgspec.structs.replace(group, count=count))
            taken += count
        groups[-1] = msgspec.structs.replace(groups[-1], count=groups[-1].count + devices - taken)
        return msgspec.structs.replace(self, devices=tuple(groups))

    def reporting_every(self, interval: float) -> Scenario:
        """The same with each device reporting every so many seconds."""
        length = f"{round(interval * 1e6) / 1e3:.3f}ms"
        groups = tuple(msgspec.structs.replace(group, interval=None) for group in self.devices)
        return msgspec.structs.replace(self, interval=length, devices=groups)

    def behind(self, gateways: int) -> Scenario:
        """The same with so many gateways in all, evenly over the sites. Raises :class:`ScenarioError`."""
        if gateways < len(self.sites):
            raise ScenarioError(f"the scenario {self.name!r} has {len(self.sites)} sites; each needs a gateway")
        each, more = divmod(gateways, len(self.sites))
        sites = tuple(
            msgspec.structs.replace(site, gateways=each + (place < more)) for place, site in enumerate(self.sites)
        )
        return msgspec.structs.replace(self, sites=sites)


_LIBRARY = resources.files("simulator.scenario") / "library"

#: The scenarios that come with the simulator.
NAMES: tuple[str, ...] = tuple(
    sorted(file.name.removesuffix(".yaml") for file in _LIBRARY.iterdir() if file.name.endswith(".yaml"))
)


def text_of(name_or_path: str) -> str:
    """What the file of a scenario says, of the library or one's own."""
    file = _LIBRARY / f"{name_or_path}.yaml" if name_or_path in NAMES else Path(name_or_path)
    return file.read_text(encoding="utf-8")


def load(name_or_path: str) -> Scenario:
    """A scenario of the library, by its name, or of a file. Raises :class:`ScenarioError`."""
    file = _LIBRARY / f"{name_or_path}.yaml" if name_or_path in NAMES else Path(name_or_path)
    try:
        text = file.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ScenarioError(
            f"there is no scenario {name_or_path!r}: give a file, or one of {', '.join(NAMES)}"
        ) from None
    except OSError as error:
        raise ScenarioError(f"cannot read {name_or_path}: {error.strerror}") from error
    return parse(text, name_or_path)


def parse(text: str | bytes, source: str = "the scenario") -> Scenario:
    """The scenario in a YAML text; ``source`` names it in errors. Raises :class:`ScenarioError`."""
    try:
        read = RuleText(text)
        try:
            scenario = msgspec.convert(read.data, Scenario)
        except msgspec.ValidationError as error:
            raise _in_words(str(error), read) from error
        for place, complaint in (*_too_long(read.data), *_misplaced(scenario), *_misdirected(scenario)):
            raise read.error(place, complaint)
    except RulesError as error:
        raise ScenarioError(f"{source}: {error}") from error
    return scenario


_ERROR = re.compile(r"(?P<message>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]|\[(\.\.\.)\]")
_UNKNOWN_KEY = re.compile(r"Object contains unknown field `(.*)`")
_MISSING_KEY = re.compile(r"Object missing required field `(.*)`")
_TYPE = re.compile(r"`(\w+)(?: \| null)?`")

#: The keys whose values are lengths of time.
_LENGTHS = frozenset(("duration", "interval", "memory", "noise_memory", "life", "period", "start", "within", "delay"))

_WORDS = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "array": "a list",
          "object": "keys with values", "null": "nothing"}  # fmt: skip


def _in_words(error: str, text: RuleText, within: Place = ()) -> RulesError:
    """What msgspec says of what is ``within`` a place, with the exact place in the file, and what to write."""
    match = _ERROR.fullmatch(error)
    assert match  # noqa: S101 - it matches everything
    place = [*within]
    for key, index, anything in _STEP.findall(match["path"] or ""):
        if anything:
            return _in_models(text)
        place.append(key or int(index))
    message = match["message"]
    if match["key"]:
        return _in_models(text) if place == ["models"] else text.error(tuple(place), "keys have to be text")
    if unknown := _UNKNOWN_KEY.fullmatch(message):
        words = "there is no such key here; docs/simulator.md has them all"
        return text.error((*place, unknown[1]), words, at_key=True)
    if missing := _MISSING_KEY.fullmatch(message):
        return text.error(tuple(place), f"the key {missing[1]!r} is missing here; add it")
    return text.error(tuple(place), _what_to_write(place, message))


def _in_models(text: RuleText) -> RulesError:
    """What is wrong with one of the models: msgspec does not say which it is."""
    for name, model in text.data["models"].items():
        place = ("models", str(name))
        try:
            msgspec.convert(name, Name)
        except msgspec.ValidationError as error:
            return text.error(place, _what_to_write(place, str(error)), at_key=True)
        try:
            msgspec.convert(model, Model)
        except msgspec.ValidationError as error:
            return _in_words(str(error), text, place)
    raise AssertionError("every model is right")


def _what_to_write(place: Sequence[str | int], message: str) -> str:
    """In place of a value that msgspec says this of."""
    last = place[-1] if place else ""
    if last in _LENGTHS:
        least = "" if last in {"start", "within"} else ", more than nothing"
        return f"write a length of time{least}, such as {EXAMPLES}"
    if "matching regex" in message:
        return "write a name of letters, digits, points, hyphens and underscores, of 60 at most"
    if message.startswith("Invalid "):
        choices = {"metric": METRICS, "kind": FAULT_KINDS if place[0] == "faults" else tuple(sorted(BUILT_IN))}
        return f"there is no such {last}; there are {', '.join(choices[str(last)])}"
    return _TYPE.sub(lambda found: _WORDS.get(found[1], found[0]), message.replace("Expected", "expected"))


_Complaints = Iterator[tuple[Place, str]]


def _too_long(data: object, place: Place = ()) -> _Complaints:
    """Lengths of time that nothing takes."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        if key in _LENGTHS and isinstance(value, str):
            try:
                seconds(value)
            except ValueError as error:
                yield (*place, key), str(error)
        yield from _too_long(value, (*place, key))


def _misplaced(scenario: Scenario) -> _Complaints:
    """Sites and devices that do not go together, or with the world."""
    names = [site.name for site in scenario.sites]
    zones = available_timezones()
    for number, site in enumerate(scenario.sites):
        if names.index(site.name) < number:
            yield ("sites", number, "name"), f"there are two sites {site.name!r}; give one another name"
        if site.timezone not in zones:
            yield ("sites", number, "timezone"), "there is no such time zone; write one like Europe/Berlin"
    for number, group in enumerate(scenario.devices):
        if group.model not in scenario.all_models:
            known = ", ".join(sorted(scenario.all_models))
            yield ("devices", number, "model"), f"there is no model {group.model!r}; there are {known}"
        if not any(matches(name, group.sites) for name in names):
            yield ("devices", number, "sites"), "no site matches; the scenario's sites are " + ", ".join(names)


def _misdirected(scenario: Scenario) -> _Complaints:
    """Faults that cannot happen."""
    for number, fault in enumerate(scenario.faults):
        if fault.count is not None and fault.share is not None:
            yield ("faults", number), "count and share both say how many; give one of them"
        if seconds(fault.start) >= scenario.duration:
            yield ("faults", number, "start"), f"the run is over by then: it takes {scenario.length}"
