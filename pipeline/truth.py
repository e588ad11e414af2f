"""Writing the ground truth of a simulation to the lake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.errors import PipelineError
from simulator.faults.truth import InjectedFault
from telemetry.tables.ground_truth import GROUND_TRUTH, GroundTruthRow

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment


def put(
    session: boto3.Session,
    deployed: Deployment,
    scenario: str,
    started_at: dt.datetime,
    faults: Iterable[InjectedFault],
) -> int:
    """Put the injected faults of a run that began at ``started_at`` (UTC) into the table; return how many.

    A run that is put again replaces itself. Raises :class:`PipelineError` if the bucket refuses it.
    """
    # A fault that was cut short is there twice: the last one counts.
    rows = [_row(scenario, started_at, fault) for fault in {each.id: each for each in faults}.values()]
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


def _row(scenario: str, started_at: dt.datetime, fault: InjectedFault) -> GroundTruthRow:
    return GroundTruthRow(
        run=f"{scenario}-{started_at:%Y%m%dT%H%M%SZ}",
        scenario=scenario,
        id=fault.id,
        kind=fault.kind,
        site=fault.site,
        gateway=fault.gateway,
        device=fault.device,
        metric=fault.metric,
        since=fault.since,
        until=fault.until,
        expects=" ".join(fault.expects),
        tolerates=" ".join(fault.tolerates),
        details=msgspec.json.encode(fault.details).decode(),
    )
