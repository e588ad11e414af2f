"""The registry of devices in the config bucket: what rules match attributes by, and what the lake knows of devices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from pipeline.athena import query
from pipeline.errors import PipelineError
from pipeline.rows import structs
from telemetry.registry.devices import Problem, devices
from telemetry.registry.registry import EMPTY, Registry, RegistryError, parse_registry

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A device that sent readings: where the last of them is from, how many there are, and their event times (UTC)."""

    device_id: str
    site: str
    readings: int
    first_seen: dt.datetime
    last_seen: dt.datetime


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """A device whose readings do not come from the site that the registry says."""

    registered_site: str
    seen: Seen


class Absent(msgspec.Struct, frozen=True, kw_only=True):
    """A registered device without readings."""

    device_id: str
    site: str
    model: str


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A registry against itself and against the readings of the last ``days``, each list in the order of names.

    ``problems`` are the values in it that cannot be used; ``devices`` and ``seen`` count those registered and heard of.
    """

    devices: int
    seen: int
    days: int
    problems: list[Problem]
    unknown: list[Seen]
    elsewhere: list[Elsewhere]
    absent: list[Absent]

    @property
    def passed(self) -> bool:
        """Whether nothing is unknown or wrong; a device that is not heard of is neither."""
        return not (self.problems or self.unknown or self.elsewhere)


def check(text: str | bytes, name: str) -> Registry:
    """Return the registry in the text of this name; raises :class:`PipelineError` that says what is wrong with it."""
    try:
        return parse_registry(text)
    except RegistryError as error:
        raise PipelineError(f"{name}: {error}") from error


def check_values(registered: Registry, name: str) -> None:
    """Raise :class:`PipelineError` that lists every value of a registry that cannot be used."""
    problems = devices(registered).problems
    if problems:
        count = "1 value" if len(problems) == 1 else f"{len(problems):,} values"
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise PipelineError(f"{name}: {count} cannot be used, so it was not applied:\n{listed}")


def current(session: boto3.Session, deployed: Deployment) -> bytes | None:
    """Return the text of the registry that was applied, None if none was."""
    s3 = session.client("s3")
    try:
        return s3.get_object(Bucket=deployed.config_bucket_name, Key=deployed.registry_key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None


def in_use(session: boto3.Session, deployed: Deployment) -> Registry:
    """Return the registry that was applied, else the empty one; raises :class:`PipelineError` where it is broken."""
    text = current(session, deployed)
    return EMPTY if text is None else check(text, f"the registry in use ({deployed.registry_key})")


def apply(session: boto3.Session, deployed: Deployment, text: bytes) -> None:
    """Put a registry into use that was checked; the bucket keeps the version before it."""
    session.client("s3").put_object(
        Bucket=deployed.config_bucket_name, Key=deployed.registry_key, Body=text, ContentType="text/csv; charset=utf-8"
    )


def seen_since(session: boto3.Session, deployed: Deployment, day: dt.date) -> list[Seen]:
    """Return the devices that sent readings of event times from ``day`` (UTC) on, by name; as curated so far."""
    # A device that was moved has stood in two places: the last one is where it stands.
    sql = f"""
        SELECT device_id, max_by(site, last_seen) AS site, CAST(sum(received) AS bigint) AS readings,
               min(first_seen) AS first_seen, max(last_seen) AS last_seen
        FROM device_health WHERE dt >= '{day.isoformat()}'
        GROUP BY device_id ORDER BY device_id"""  # noqa: S608
    return structs(query(session, deployed, sql), Seen)


def compare(registered: Registry, seen: Iterable[Seen], days: int) -> Check:
    """Compare the registry with itself and with what was seen; a device without a site in it may be anywhere."""
    heard = sorted(seen, key=lambda one: one.device_id)
    names = {one.device_id for one in heard}
    known = registered.devices
    return Check(
        devices=len(known),
        seen=len(heard),
        days=days,
        problems=devices(registered).problems,
        unknown=[one for one in heard if one.device_id not in known],
        elsewhere=[
            Elsewhere(registered_site=known[one.device_id].site, seen=one)
            for one in heard
            if one.device_id in known and known[one.device_id].site not in ("", one.site)
        ],
        absent=[
            Absent(device_id=name, site=device.site, model=device.attributes.get("model", ""))
            for name, device in sorted(known.items())
            if name not in names
        ],
    )
