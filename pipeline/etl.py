"""Running the curate job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import JobRunTypeDef

_ENDED = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}


def run_job(
    glue: GlueClient,
    job: str,
    arguments: Mapping[str, str],
    *,
    on_state: Callable[[str], None] = lambda _: None,
    poll_seconds: float = 0.5,
) -> JobRunTypeDef:
    """Start the job and wait for its end; ``on_state`` hears of each new state.

    Raises :class:`PipelineError` with the job's own words if it does not succeed, or cannot start because
    a run is already going on.
    """
    try:
        run_id = glue.start_job_run(JobName=job, Arguments={f"--{name}": value for name, value in arguments.items()})
    except glue.exceptions.ConcurrentRunsExceededException as error:
        raise PipelineError(f"a run of {job} is already going on; wait for its end and try again") from error
    state = ""
    while True:
        run = glue.get_job_run(JobName=job, RunId=run_id["JobRunId"])["JobRun"]
        if run["JobRunState"] != state:
            state = run["JobRunState"]
            on_state(state)
        if state in _ENDED:
            break
        time.sleep(poll_seconds)
    if state != "SUCCEEDED":
        said = (run.get("ErrorMessage") or "no message; see its log group").strip().splitlines()[-1]
        raise PipelineError(f"the run {run['Id']} of {job} ended as {state}: {said}")
    return run
