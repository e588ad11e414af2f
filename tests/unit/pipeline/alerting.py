"""A deployment's state table with alerts in it, for the tests of what operators see and do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import boto3

from lambdas.store.homes import HomeTable
from lambdas.store.states import StateTable
from telemetry.alerting.evaluate import evaluate
from telemetry.alerting.heard import Heard
from telemetry.alerting.recent import Recent
from telemetry.alerting.state import GatewayState
from telemetry.reading.model import Reading
from telemetry.rules.parse import parse_rules
from telemetry.rules.rule_set import RuleSet
from tests.deployments import named_deployment

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)

RULES_TEXT = """
rules:
  - name: too-hot
    when: temperature > 40
    severity: critical
    summary: "{device_id} is {value:.1f} °C hot"
    runbook: docs/hot.md
  - name: battery-low
    when: battery < 2.4
    for: 10m
    severity: info
"""
RULES: RuleSet = parse_rules(RULES_TEXT)

DEPLOYED = named_deployment(rules_key="rules.yaml", registry_key="registry/devices.csv")


def reading(device: str, seconds: float = 0, **metrics: float) -> Reading:
    """A reading of a device at site "plant-1", so many seconds after ``NOW``."""
    ts = NOW + dt.timedelta(seconds=seconds)
    return Reading(device_id=device, site="plant-1", ts=ts, seq=int(seconds), status="ok", **metrics)


def state_of(gateway: str, *readings: Reading, before: GatewayState | None = None) -> GatewayState:
    """A gateway's state after a record with these readings, which arrived a second after the last."""
    arrived = readings[-1].ts + dt.timedelta(seconds=1)
    return evaluate(RULES, before or GatewayState(gateway), Recent(), Heard(gateway, arrived, readings)).state


def create_state_table(session: boto3.Session, states: Iterable[GatewayState] = ()) -> StateTable:
    """The state table as the stack makes it, with these states, and their devices at home."""
    client = session.client("dynamodb")
    client.create_table(
        TableName=DEPLOYED.state_table_name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "gateway", "KeyType": "HASH"}, {"AttributeName": "part", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "gateway", "AttributeType": "S"},
            {"AttributeName": "part", "AttributeType": "S"},
        ],
    )
    table = StateTable(client, DEPLOYED.state_table_name)
    homes = HomeTable(client, DEPLOYED.state_table_name)
    for state in states:
        table.commit(state, 0, [], now=NOW)
        homes.claim(dict.fromkeys(filter(None, state.alerts), state.home))
    return table
