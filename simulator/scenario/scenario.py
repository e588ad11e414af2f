"""Scenario files: a fleet, its sites and models, and what goes wrong, as a person writes it in YAML.

The structs are the definition: the JSON Schema for editors (docs/scenario.schema.json) and the errors follow from them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, get_args
from zoneinfo import available_timezones

import msgspec
from msgspec import Meta

from simulator.models.devices import BUILT_IN, Battery, Model
from simulator.models.sites import Count, Name, Site, Weather
from simulator.scenario.faults import Fault, matches
from telemetry.text.durations import PositiveDuration, parse_seconds
from telemetry.text.errors import TextError
from telemetry.text.typed_yaml import convert, hint_of
from telemetry.text.yaml_text import Path as Place
from telemetry.text.yaml_text import YamlText

#: The longest duration in a scenario.
LONGEST = dt.timedelta(days=3_650)

#: Seeds are from 0 up to this.
LARGEST_SEED = 2**63 - 1


class ScenarioError(ValueError):
    """A scenario cannot be used; the message says where, what is wrong with it and what to write."""


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number of devices of a model, spread evenly over the sites."""

    model: Annotated[str, Meta(description="A built-in model (indoor, outdoor, freezer, greenhouse), or one of models")]
    count: Annotated[Count, Meta(description="How many devices")]
    sites: Annotated[tuple[str, ...], Meta(description="At which sites, by glob; all by default")] = ("*",)
    interval: Annotated[
        PositiveDuration | None, Meta(description="How often each reports; as the scenario says by default")
    ] = None


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fleet and what happens to it. The same scenario, started at the same time, gives the same lines."""

    name: Annotated[Name, Meta(description="What it is called")]
    description: Annotated[str, Meta(description="What happens, in a line")] = ""
    seed: Annotated[
        int, Meta(ge=0, le=LARGEST_SEED, description="The same seed gives the same lines, another gives others")
    ] = 0
    length: Annotated[PositiveDuration, Meta(description="How long a run takes, unless asked otherwise")] = (
        msgspec.field(default="1h", name="duration")
    )
    interval: Annotated[
        PositiveDuration, Meta(description="How often a device reports that does not say otherwise")
    ] = "10s"
    sites: Annotated[tuple[Site, ...], Meta(min_length=1, description="Where devices stand")] = (Site(name="site-1"),)
    weather: Annotated[Weather, Meta(description="How it departs from the usual")] = Weather()
    models: Annotated[
        dict[Name, Model], Meta(description="Models by name, added to the built-in ones, or in their place")
    ] = {}
    devices: Annotated[tuple[Group, ...], Meta(min_length=1, description="Which devices there are")]
    faults: Annotated[tuple[Fault, ...], Meta(description="What goes wrong")] = ()

    @property
    def duration(self) -> float:
        """Return how long a run takes, in seconds."""
        return parse_seconds(self.length)

    @property
    def all_models(self) -> dict[str, Model]:
        """Return the built-in models and the scenario's own."""
        return {**BUILT_IN, **self.models}

    @property
    def size(self) -> int:
        """Return the number of devices."""
        return sum(group.count for group in self.devices)

    def resized(self, devices: int) -> Scenario:
        """Return the same scenario with this many devices, in proportion. Raises :class:`ScenarioError`."""
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
        """Return the same scenario with each device reporting every ``interval`` seconds."""
        length = f"{round(interval * 1e6) / 1e3:.3f}ms"
        groups = tuple(msgspec.structs.replace(group, interval=None) for group in self.devices)
        return msgspec.structs.replace(self, interval=length, devices=groups)

    def behind(self, gateways: int) -> Scenario:
        """Return the same scenario with this many gateways, evenly over the sites. Raises :class:`ScenarioError`."""
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
    """Return the text of a scenario of the library, by its name, or of a file."""
    return _file(name_or_path).read_text(encoding="utf-8")


def load(name_or_path: str) -> Scenario:
    """Load a scenario of the library, by its name, or of a file. Raises :class:`ScenarioError`."""
    try:
        text = _file(name_or_path).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise ScenarioError(
            f"there is no scenario {name_or_path!r}: give a file, or one of {', '.join(NAMES)}"
        ) from None
    except OSError as error:
        raise ScenarioError(f"cannot read {name_or_path}: {error.strerror}") from error
    return parse(text, name_or_path)


def _file(name_or_path: str) -> Traversable:
    return _LIBRARY / f"{name_or_path}.yaml" if name_or_path in NAMES else Path(name_or_path)


def parse(text: str | bytes, source: str = "the scenario") -> Scenario:
    """Parse the scenario in a YAML text; ``source`` names it in errors. Raises :class:`ScenarioError`."""
    try:
        read = YamlText(text)
        scenario = convert(read, Scenario)
        for place, complaint in (*_too_long(read.data), *_misplaced(scenario), *_misdirected(scenario)):
            raise read.error(place, complaint)
    except TextError as error:
        raise ScenarioError(f"{source}: {error}") from error
    return scenario


#: The keys whose values are durations.
_DURATIONS = frozenset(
    field.encode_name
    for struct in (Scenario, Group, Weather, Battery, *get_args(Model), *get_args(Fault))
    for field in msgspec.structs.fields(struct)
    if (hint := hint_of(field.type)) and hint.what == "duration"
)

_Complaints = Iterator[tuple[Place, str]]


def _too_long(data: object, place: Place = ()) -> _Complaints:
    """Find durations that are too long."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        if key in _DURATIONS and isinstance(value, str):
            try:
                parse_seconds(value, LONGEST)
            except TextError as error:
                yield (*place, key), str(error)
        yield from _too_long(value, (*place, key))


def _misplaced(scenario: Scenario) -> _Complaints:
    """Find sites that are given twice or in no time zone, and devices without a model or a site."""
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
    """Find faults that cannot happen."""
    for number, fault in enumerate(scenario.faults):
        if fault.count is not None and fault.share is not None:
            yield ("faults", number), "count and share both say how many; give one of them"
        if parse_seconds(fault.start) >= scenario.duration:
            yield ("faults", number, "start"), f"the run is over by then: it takes {scenario.length}"
