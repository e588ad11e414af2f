"""The ground truth of simulations in the lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from simulator.faults.truth import Incident
from telemetry.tables.injected_faults import GROUND_TRUTH, InjectedFault

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment


def put(
    session: boto3.Session, deployed: Deployment, scenario: str, started_at: dt.datetime, incidents: Iterable[Incident]
) -> int:
    """Put the incidents of a run that began at ``started_at`` (UTC) into the table; returns how many.

    A run that is put again takes its own place. Raises :class:`PipelineError` where the bucket does not take it.
    """
    # Of an incident that was cut, the last word counts.
    rows = [_row(scenario, started_at, incident) for incident in {each.id: each for each in incidents}.values()]
    if not rows:
        return 0
    run = rows[0].run
    folder = f"{GROUND_TRUTH.name}/dt={started_at:%Y-%m-%d}/hour={started_at:%H}"
    try:
        session.client("s3").put_object(
            Bucket=deployed.lake_bucket_name,
            Key=f"{folder}/{run}.json",
            Body=msgspec.json.Encoder().encode_lines(rows),
        )
    except (ClientError, BotoCoreError) as error:
        raise PipelineError(
            f"the ground truth was not put into s3://{deployed.lake_bucket_name}/{folder}/: {error}"
        ) from error
    return len(rows)


def _row(scenario: str, started_at: dt.datetime, incident: Incident) -> InjectedFault:
    return InjectedFault(
        run=f"{scenario}-{started_at:%Y%m%dT%H%M%SZ}",
        scenario=scenario,
        id=incident.id,
        kind=incident.kind,
        site=incident.site,
        gateway=incident.gateway,
        device=incident.device,
        metric=incident.metric,
        since=incident.since,
        until=incident.until,
        expects=" ".join(incident.expects),
        tolerates=" ".join(incident.tolerates),
        details=msgspec.json.encode(incident.details).decode(),
    )
