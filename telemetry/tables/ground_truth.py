"""The lake's table of the faults that simulations injected: the ground truth to compare alerts with."""

from __future__ import annotations

import datetime as dt

import msgspec

from telemetry.reading.fields import fields_of
from telemetry.tables.table import Table, as_json, by_hour, column_of


class GroundTruthRow(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that a simulation injected at a device, gateway or site; ``since`` and ``until`` are event times, UTC."""

    run: str
    scenario: str
    id: str
    kind: str
    site: str
    gateway: str
    device: str
    metric: str
    since: dt.datetime
    until: dt.datetime
    expects: str
    tolerates: str
    details: str


_MEANINGS = {
    "run": "The run of the simulator that injected it: the scenario and the simulated time when it began",
    "scenario": "The scenario's name",
    "id": "The fault at this place: unique in the run",
    "kind": "What was injected: step, drift, silence, gateway_down and so on",
    "site": "Where",
    "gateway": "Gateway that it affected, or whose device; empty for a whole site",
    "device": "Device that it affected; empty for a whole gateway or site",
    "metric": "The metric that it changed the values of; empty for none",
    "since": "When it was injected, by the event time, UTC",
    "until": "When it was over, by the event time, UTC",
    "expects": "The rules that should fire for it, separated by spaces",
    "tolerates": "The rules that may, separated by spaces",
    "details": "Its parameters, as JSON",
}

GROUND_TRUTH = Table(
    name="ground_truth",
    comment="What simulations injected, as JSON lines, by the hour when it was put there; "
    "for real devices there is none",
    kind="delivered",
    columns=tuple(as_json(column_of(f, _MEANINGS[f.name])) for f in fields_of(GroundTruthRow)),
    partition_keys=by_hour("arrival"),
    example="""\
SELECT kind, count(*) AS faults, min(since) AS first
FROM ground_truth
WHERE dt = '2026-11-23' AND scenario = 'cold-chain-break'
GROUP BY kind""",
)
