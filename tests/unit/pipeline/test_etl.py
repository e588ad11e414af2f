"""Running the curate job to its end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.etl import run_job


class Glue:
    """A job that goes through the given states, a state a question."""

    class ConcurrentRunsExceededException(Exception):  # noqa: N818 - the SDK's name
        pass

    exceptions = SimpleNamespace(ConcurrentRunsExceededException=ConcurrentRunsExceededException)

    def __init__(self, *states: str, error: str = "") -> None:
        self.states = list(states)
        self.error = error
        self.started: list[dict[str, Any]] = []

    def start_job_run(self, **request: Any) -> dict[str, str]:
        if not self.states:
            raise self.ConcurrentRunsExceededException
        self.started.append(request)
        return {"JobRunId": "jr_1"}

    def get_job_run(self, **_: Any) -> dict[str, Any]:
        state = self.states.pop(0)
        return {"JobRun": {"Id": "jr_1", "JobRunState": state, "ErrorMessage": self.error}}


def run(glue: Glue, **options: Any) -> Any:
    return run_job(glue, "curate", {"window_from": "2026-11-23T12:00:00Z"}, poll_seconds=0, **options)  # type: ignore[arg-type]


def test_should_wait_for_the_end_and_tell_each_new_state_once() -> None:
    glue, states = Glue("STARTING", "RUNNING", "RUNNING", "SUCCEEDED"), list[str]()
    assert run(glue, on_state=states.append)["JobRunState"] == "SUCCEEDED"
    assert states == ["STARTING", "RUNNING", "SUCCEEDED"]
    assert glue.started == [{"JobName": "curate", "Arguments": {"--window_from": "2026-11-23T12:00:00Z"}}]


@pytest.mark.parametrize("state", ["FAILED", "STOPPED", "TIMEOUT", "ERROR"])
def test_should_give_the_jobs_own_words_when_it_fails(state: str) -> None:
    with pytest.raises(PipelineError, match=f"ended as {state}: cannot read the raw bucket"):
        run(Glue("RUNNING", state, error="Traceback\ncannot read the raw bucket\n"))


def test_should_say_that_a_run_is_already_going_on() -> None:
    with pytest.raises(PipelineError, match="already going on"):
        run(Glue())
