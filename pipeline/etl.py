"""Running the curate job, and following it."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from glue_jobs.curate.summary import Progress, Summary
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    import boto3

    from pipeline.deployment import Deployment

_ENDED = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}


class Ended(msgspec.Struct, frozen=True):
    """A run that succeeded: Glue's id for it, how long it took there, and what it did."""

    id: str
    seconds: int
    summary: Summary


def run_job(
    session: boto3.Session,
    deployed: Deployment,
    arguments: Mapping[str, str],
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
    poll_seconds: float = 0.5,
) -> Ended:
    """Start the job and wait for its end; ``on_progress`` hears how it is getting on.

    Raises :class:`PipelineError` with the job's own words if it does not succeed, or cannot start because
    a run is already going on.
    """
    glue, dynamodb = session.client("glue"), session.client("dynamodb")
    job, table = deployed.curate_job_name, deployed.curate_state_table_name
    run_id = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    given = {f"--{name}": value for name, value in {**arguments, "run_id": run_id}.items()}
    try:
        started = glue.start_job_run(JobName=job, Arguments=given)
    except glue.exceptions.ConcurrentRunsExceededException as error:
        raise PipelineError(f"a run of {job} is already going on; wait for its end and try again") from error
    while True:
        run = glue.get_job_run(JobName=job, RunId=started["JobRunId"])["JobRun"]
        item = dynamodb.get_item(TableName=table, Key={"id": {"S": f"run#{run_id}"}}, ConsistentRead=True).get("Item")
        if item:
            on_progress(_progress(item))
        if run["JobRunState"] in _ENDED:
            break
        time.sleep(poll_seconds)
    if run["JobRunState"] != "SUCCEEDED":
        said = (run.get("ErrorMessage") or "no message; see its log group").strip().splitlines()[-1]
        raise PipelineError(f"the run {run['Id']} of {job} ended as {run['JobRunState']}: {said}")
    if not item or "summary" not in item:
        raise PipelineError(
            f"the run {run['Id']} of {job} ended as SUCCEEDED, but says nothing in table {table} of what it did: "
            "deploy the stacks again, so that the job and this command are of the same version"
        )
    return Ended(run["Id"], run.get("ExecutionTime", 0), msgspec.json.decode(item["summary"]["S"], type=Summary))


def _progress(item: Mapping[str, Any]) -> Progress:
    return Progress(
        phase=item["phase"]["S"],
        objects=int(item["objects"]["N"]),
        objects_total=int(item["objects_total"]["N"]),
        rows=int(item["rows"]["N"]),
    )
