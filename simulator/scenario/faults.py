"""The kinds of faults of a scenario, with their parameters.

``simulator.faults`` has what they do to readings.
"""

from __future__ import annotations

import fnmatch
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from telemetry.text.durations import Duration, PositiveDuration

Metric = Literal["temperature", "humidity", "battery"]

_Globs = tuple[str, ...]
_Chance = Annotated[float, Meta(gt=0, le=1, description="How likely it is for each, up to 1")]
_Which = Annotated[Metric, Meta(description="What is measured wrong")]
_To = Annotated[str, Meta(description="Through which gateways of its site, by glob; all by default")]
_Off = Annotated[float, Meta(ge=-1_000, le=1_000, description="By how much: °C, %RH or V")]


class _Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """When, for how long, and whom.

    Concerned are the devices that match all of ``devices``, ``sites``, ``gateways`` and ``models``; of these ``count``,
    or a ``share`` (at least one), or else all.
    """

    start: Annotated[Duration, Meta(description="When it begins, after the run does, such as 0s or 10m")]
    duration: Annotated[PositiveDuration, Meta(description="How long it takes, such as 20m")]
    devices: Annotated[_Globs, Meta(description="Which devices, by glob; all by default")] = ("*",)
    sites: Annotated[_Globs, Meta(description="At which sites, by glob; all by default")] = ("*",)
    gateways: Annotated[_Globs, Meta(description="Behind which gateways, by glob; all by default")] = ("*",)
    models: Annotated[_Globs, Meta(description="Of which models, by glob; all by default")] = ("*",)
    count: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="How many of these devices, gateways or sites")
    ] = None
    share: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None, Meta(description="Which part of them, up to 1; at least one")
    ] = None
    expect: Annotated[_Globs, Meta(description="The rules that should fire for it")] = ()
    tolerate: Annotated[_Globs, Meta(description="The rules that may fire for it, too")] = ()


class Spike(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="spike"):
    """Now and then (by ``chance``) a single reading is ``size`` off."""

    metric: _Which = "temperature"
    size: _Off
    chance: _Chance = 0.02


class Step(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="step"):
    """All readings are ``size`` off."""

    metric: _Which = "temperature"
    size: _Off


class Drift(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="drift"):
    """Readings go astray, by ``per_hour`` more each hour."""

    metric: _Which = "temperature"
    per_hour: Annotated[float, Meta(ge=-10_000, le=10_000, description="By how much each hour: °C, %RH or V")]


class Stuck(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="stuck"):
    """Readings stay what they were at the beginning."""

    metric: _Which = "temperature"


class Noise(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="noise"):
    """Readings scatter, by ``size``."""

    metric: _Which = "temperature"
    size: Annotated[float, Meta(gt=0, le=1_000, description="By how much: standard deviation, °C, %RH or V")]


class Flapping(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="flapping"):
    """Readings are ``size`` off for half of every ``period``, as with a loose contact."""

    metric: _Which = "temperature"
    size: _Off
    period: Annotated[PositiveDuration, Meta(description="How long it takes to be off and right again")]


class BatteryDying(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="battery_dying"):
    """The battery falls ``to`` so many volts within the first half, and is replaced at the end."""

    to: Annotated[float, Meta(ge=0, le=60, description="Down to how many volts")] = 2.1


class Silence(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="silence"):
    """The device measures and counts on, but its radio sends nothing."""


class GatewayDown(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="gateway_down"):
    """Gateways, of the devices that are concerned, send nothing of any device."""

    backlog: Annotated[bool, Meta(description="Whether they keep what they get, and send it when they are back")] = (
        False
    )


class SiteOutage(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="site_outage"):
    """The same, of all gateways of a site."""

    backlog: Annotated[bool, Meta(description="Whether they keep what they get, and send it when they are back")] = (
        False
    )


class Duplicate(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="duplicate"):
    """Lines (by ``chance``) are sent again ``within`` a time."""

    chance: _Chance = 0.02
    within: Annotated[Duration, Meta(description="How much later at most")] = "5s"


class Late(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="late"):
    """Lines (by ``chance``) are held back."""

    chance: _Chance = 0.02
    delay: Annotated[
        PositiveDuration, Meta(description="For how long on average; half as long at least, half longer at most")
    ] = "2m"


class Reorder(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="reorder"):
    """Lines (by ``chance``) are held back for up to ``within``, so that later ones overtake them."""

    chance: _Chance = 0.1
    within: Annotated[PositiveDuration, Meta(description="For how long at most")] = "30s"


class ClockSkew(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="clock_skew"):
    """The device's clock is so many seconds ``ahead``, or behind where that is negative."""

    ahead: Annotated[
        float, Meta(ge=-86_400 * 365, le=86_400 * 365, description="By how many seconds; negative for behind")
    ]


class Restart(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="restart"):
    """The device starts again. Until the end, when it gets the time, its clock counts from 1970.

    It goes on counting its readings after the last one (``flash``), or, for the rest of the run, from 0 (``ram``).
    """

    counter: Annotated[
        Literal["flash", "ram"],
        Meta(description="Where it keeps the number of readings: flash (it goes on) or ram (it begins again at 0)"),
    ] = "flash"


class Wander(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="wander"):
    """The device is heard through another gateway of its site, and ``every`` so often through the next one."""

    every: Annotated[
        PositiveDuration | None, Meta(description="How long it stays behind a gateway; by default until the end")
    ] = None
    to: _To = "*"


class HeardTwice(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="heard_twice"):
    """Lines (by ``chance``) arrive through another gateway of the site too, up to ``within`` later."""

    chance: _Chance = 1.0
    within: Annotated[Duration, Meta(description="How much later at most")] = "2s"
    to: _To = "*"


class Uploads(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="uploads"):
    """Gateways, of the devices that are concerned, keep what they get and send all of it ``every`` so often."""

    every: Annotated[PositiveDuration, Meta(description="How long a gateway waits between two uploads")]
    newest_first: Annotated[bool, Meta(description="Whether an upload begins with what was taken last")] = False


class Malformed(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="malformed"):
    """Lines (by ``chance``) are damaged on the way, in all the ways that there are a reason for to reject one."""

    chance: _Chance = 0.01


class Oversize(_Fault, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="oversize"):
    """Lines (by ``chance``) have a field of so many ``bytes`` that nobody knows."""

    chance: _Chance = 0.01
    bytes: Annotated[int, Meta(ge=1, le=2_000_000, description="How large the field is")] = 20_000


Fault: TypeAlias = (
    Spike
    | Step
    | Drift
    | Stuck
    | Noise
    | Flapping
    | BatteryDying
    | Silence
    | GatewayDown
    | SiteOutage
    | Duplicate
    | Late
    | Reorder
    | ClockSkew
    | Restart
    | Wander
    | HeardTwice
    | Uploads
    | Malformed
    | Oversize
)


def matches(name: str, globs: tuple[str, ...]) -> bool:
    """Return whether any of the globs matches."""
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def details(fault: Fault) -> dict[str, str | float | int | bool]:
    """Return the parameters of its kind, as the scenario has them or by default; without those that are not given."""
    left_out = {*_Fault.__struct_fields__, "metric"}
    given = {name: getattr(fault, name) for name in fault.__struct_fields__ if name not in left_out}
    return {name: value for name, value in given.items() if value is not None}
