"""The alerts as they stand, from the state table, and what became of them, from the lake."""

from __future__ import annotations

import datetime as dt
import fnmatch
import itertools
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import boto3
import msgspec

from lambdas.store.rules_object import RulesObject
from lambdas.store.states import ALERTS_PART, decode_item
from pipeline.athena import query
from pipeline.errors import PipelineError
from pipeline.rows import structs
from telemetry.alerting import wording
from telemetry.alerting.state import AlertState, GatewayState, Hold, Home
from telemetry.alerting.transitions import Transition
from telemetry.alerting.wording import Words
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import SEVERITIES, Rule, RuleSet, Severity

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from pipeline.deployment import Deployment

#: The rules that the functions are deployed with.
PACKAGED_RULES = Path(__file__).parent.parent / "rules.yaml"

_PREFIX = re.compile(r"[0-9a-f]{4,20}")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where an alert stands; or, with status ``inactive`` and no ``alert_id``, an operator's hold where there is none.

    ``device`` is empty for an alert about the gateway itself, ``site`` where there is no alert. ``gateway`` is the one
    through which the device was heard when the alert began, without an alert that of its home. ``value`` is in the unit
    of ``metric``; ``active_at`` and ``fired_at`` are event times (UTC). ``home`` is where it is kept.
    """

    alert_id: str = ""
    status: Literal["pending", "firing", "inactive"] = "inactive"
    severity: Severity
    rule: str
    device: str
    site: str = ""
    gateway: str
    active_at: dt.datetime | None = None
    fired_at: dt.datetime | None = None
    flapping: bool = False
    metric: str = ""
    value: float | None = None
    threshold: float | None = None
    condition: str = ""
    summary: str = ""
    runbook: str = ""
    hold: Hold | None = None
    home: Home | None = None

    @property
    def place(self) -> Place:
        """The rule and device that an order on it is about."""
        return Place(self.gateway, self.device, self.rule, self.alert_id, self.home)

    @property
    def where(self) -> str:
        """The device, or the gateway where the alert is about that."""
        return self.device or self.gateway


class Place(NamedTuple):
    """A rule at a device (empty: at the gateway itself), and where one alert of it is meant, its id.

    ``gateway`` can be left out where the device was heard of, or ``home`` is known.
    """

    gateway: str
    device: str
    rule: str
    alert_id: str = ""
    home: Home | None = None


def rules_in_use(session: boto3.Session, deployed: Deployment) -> RuleSet:
    """Return the rules as the functions see them: of a broken object the newest version that parses."""
    return RulesObject(
        session.client("s3"),
        deployed.config_bucket_name,
        deployed.rules_key,
        deployed.registry_key,
        packaged=parse_rules(PACKAGED_RULES.read_bytes()),
        clock=time.monotonic,
    ).current()


def standings(session: boto3.Session, deployed: Deployment, rules: RuleSet) -> list[Standing]:
    """Return every active alert and every hold, the most severe first, the oldest of them first.

    Reads the whole state table, eventually consistently: half a read unit for each 4 KB, so some 5,000 for 10,000
    gateways with items of 4 KB. It is for a person who asks now and then, not for a program in a loop.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html
    """
    found = [standing for item in _scan(session, deployed) for standing in _of_home(decode_item(item).state, rules)]
    return sorted(found, key=_prominence)


def _scan(session: boto3.Session, deployed: Deployment) -> Iterator[dict[str, AttributeValueTypeDef]]:
    pages = session.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(
        TableName=deployed.state_table_name,
        FilterExpression="begins_with(part, :part)",
        ExpressionAttributeValues={":part": {"S": ALERTS_PART}},
    ):
        yield from page["Items"]


def _of_home(state: GatewayState, rules: RuleSet) -> Iterator[Standing]:
    for device, name in {*_pairs(state.alerts), *_pairs(state.holds)}:
        rule, alert = rules.named(name), state.alerts.get(device, {}).get(name)
        gateway = (alert and alert.gateway) or state.gateway
        yield Standing(
            rule=name,
            device=device,
            gateway=gateway,
            hold=state.holds.get(device, {}).get(name),
            home=state.home,
            **(_active(gateway, device, rule, alert) if alert else {"severity": rule.severity if rule else "info"}),
        )


def _pairs(table: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    return ((device, name) for device, by_rule in table.items() for name in by_rule)


def _active(gateway: str, device: str, rule: Rule | None, alert: AlertState) -> dict[str, Any]:
    words = wording.describe_active(rule, alert, device=device, gateway=gateway) if rule else Words(value=alert.value)
    kept = ("alert_id", "status", "severity", "site", "active_at", "fired_at", "flapping")
    return {name: getattr(alert, name) for name in kept} | words._asdict()


def _prominence(standing: Standing) -> tuple[bool, int, dt.datetime, str, str]:
    since = standing.active_at or (standing.hold.at if standing.hold else dt.datetime.max.replace(tzinfo=dt.UTC))
    severity = SEVERITIES.index(standing.severity)
    return standing.status == "inactive", -severity, since, standing.rule, standing.where


def select(
    found: Iterable[Standing], *, rule: str, site: str, device: str, severity: Severity | None, quiet: bool
) -> list[Standing]:
    """Return those that match the globs and the severity; ``quiet``: also holds where there is no alert."""
    return [
        standing
        for standing in found
        if (quiet or standing.status != "inactive")
        and fnmatch.fnmatchcase(standing.rule, rule)
        and fnmatch.fnmatchcase(standing.site, site)
        and fnmatch.fnmatchcase(standing.where, device)
        and severity in (None, standing.severity)
    ]


def by_id(found: Iterable[Standing], prefix: str) -> Standing | None:
    """Return the active alert whose id begins with ``prefix``, None if there is none.

    Raises :class:`PipelineError` for what is no beginning of an id, and for one of several.
    """
    if not _PREFIX.fullmatch(prefix):
        raise PipelineError(f"invalid alert id {prefix!r}: give at least its first 4 characters, of 0 to 9 and a to f")
    matching = [standing for standing in found if standing.alert_id and standing.alert_id.startswith(prefix)]
    if len(matching) > 1:
        raise _ambiguous(prefix, [standing.alert_id for standing in matching])
    return matching[0] if matching else None


def _ambiguous(prefix: str, ids: list[str]) -> PipelineError:
    shown = ", ".join(ids[:5]) + (" and more" if len(ids) > 5 else "")
    return PipelineError(f"{prefix} is the beginning of several alerts' ids: {shown}; give more of it")


def places(found: Iterable[Standing], prefixes: Iterable[str]) -> list[Place]:
    """Return the active alerts with these ids; raises :class:`PipelineError` if any is none, or not exactly one."""
    found = list(found)
    named = []
    for prefix in prefixes:
        standing = by_id(found, prefix)
        if standing is None:
            raise PipelineError(f"no alert {prefix} is active; 'iot alerts list' shows those that are")
        named.append(standing.place)
    return named


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an alert, from the lake. ``changed_at`` is event time, ``recorded_at`` by the clock (UTC)."""

    alert_id: str
    sequence: int
    change: str
    severity: str
    rule: str
    device: str = ""
    site: str = ""
    gateway: str
    value: float | None = None
    summary: str = ""
    changed_at: dt.datetime
    recorded_at: dt.datetime
    who: str = ""
    why: str = ""


def transitions(
    session: boto3.Session, deployed: Deployment, since: dt.datetime, until: dt.datetime
) -> list[Transition]:
    """Return what happened to all alerts between two times by the clock (UTC), each change once, in order."""
    columns = ", ".join(f'"{name}"' for name in Transition.__struct_fields__)
    sql = (
        f"SELECT {columns} FROM alerts "  # noqa: S608
        f"WHERE dt >= '{since - dt.timedelta(days=1):%Y-%m-%d}' AND dt <= '{until + dt.timedelta(days=1):%Y-%m-%d}'"
    )
    found: dict[tuple[str, int], Transition] = {}
    for happened in structs(query(session, deployed, sql), Transition):
        if since <= happened.recorded_at <= until:
            found.setdefault((happened.alert_id, happened.sequence), happened)
    return sorted(found.values(), key=lambda each: (each.recorded_at, each.alert_id, each.sequence))


def history(session: boto3.Session, deployed: Deployment, prefix: str, since: dt.datetime | None) -> list[Event]:
    """Return the changes of the alert whose id begins with ``prefix``, in order, each once.

    The lake has a change when Firehose has delivered it, minutes later. Athena reads the partitions from the day before
    ``since`` on, all of them without it. Raises :class:`PipelineError` for the beginning of several alerts' ids.
    """
    columns = ", ".join(f'"{name}"' for name in Event.__struct_fields__)
    where = f"alert_id LIKE '{prefix}%'"
    if since:
        where += f" AND dt >= '{since - dt.timedelta(days=1):%Y-%m-%d}'"
    sql = f"SELECT {columns} FROM alerts WHERE {where} ORDER BY alert_id, sequence, recorded_at"  # noqa: S608
    events = structs(query(session, deployed, sql), Event)
    ids = sorted({event.alert_id for event in events})
    if len(ids) > 1:
        raise _ambiguous(prefix, ids)
    return [next(same) for _, same in itertools.groupby(events, key=lambda event: event.sequence)]
