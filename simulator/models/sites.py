"""Sites and weather, as a scenario describes them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from telemetry.text.durations import PositiveDuration
from telemetry.text.errors import Hint

#: Letters, digits, points, hyphens and underscores: what all sinks take in their keys and topics.
Name = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$"),
    Hint("name", "letters, digits, points, hyphens and underscores, 60 at most"),
]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place with a climate of its own."""

    name: Annotated[Name, Meta(description="What its devices' readings say; gateways are called NAME-gw-01 and so on")]
    timezone: Annotated[str, Meta(description="Whose clock its people live by, such as Europe/Berlin")] = "UTC"
    latitude: Annotated[float, Meta(ge=-90, le=90, description="Degrees north")] = 50.0
    longitude: Annotated[float, Meta(ge=-180, le=180, description="Degrees east")] = 10.0
    gateways: Annotated[Count, Meta(description="How many gateways its devices share")] = 1
    mean: Annotated[float, Meta(ge=-30, le=40, description="The year's mean temperature outdoors, °C")] = 11.0
    swing: Annotated[
        float, Meta(ge=0, le=20, description="Half of what a day's warmest and coldest hour differ by outdoors, °C")
    ] = 4.0
    season: Annotated[
        float,
        Meta(ge=0, le=30, description="Half of what the year's warmest and coldest day differ by outdoors, °C"),
    ] = 9.0


class Weather(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Departure of the outdoor temperature from its usual course."""

    spread: Annotated[float, Meta(ge=0, le=10, description="By how much: standard deviation, °C")] = 2.5
    memory: Annotated[PositiveDuration, Meta(description="For about how long")] = "36h"
    shared: Annotated[
        float, Meta(ge=0, le=1, description="The part of it (of its variance) that all sites have in common")
    ] = 0.7
