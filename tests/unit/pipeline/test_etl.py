"""Running the curate job to its end, and following it."""

from __future__ import annotations

import datetime as dt
import io
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console

from cli.verbs import etl
from glue_jobs.curate.summary import ChangedHour, Progress, Summary
from pipeline.errors import PipelineError
from pipeline.etl import Ended, run_job

HOUR = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


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
        return {"JobRun": {"Id": "jr_1", "JobRunState": state, "ErrorMessage": self.error, "ExecutionTime": 7}}


class DynamoDB:
    """Gives out what the run has written, a step a question: nothing at first."""

    def __init__(self, glue: Glue, summary: Summary | None) -> None:
        self.glue = glue
        self.summary = summary
        self.asked = 0

    def get_item(self, *, TableName: str, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        assert TableName == "curation"
        assert Key == {"id": {"S": f"run#{self.glue.started[0]['Arguments']['--run_id']}"}}
        self.asked += 1
        if self.asked == 1:
            return {}
        item: dict[str, Any] = {"phase": {"S": "reading"}, "objects": {"N": str(self.asked)}}
        item |= {"objects_total": {"N": "9"}, "rows": {"N": "1000"}}
        if self.summary and not self.glue.states:
            item["summary"] = {"S": msgspec.json.encode(self.summary).decode()}
        return {"Item": item}


def run(glue: Glue, summary: Summary | None = None, **options: Any) -> Ended:
    session: Any = SimpleNamespace(client={"glue": glue, "dynamodb": DynamoDB(glue, summary)}.get)
    deployed: Any = SimpleNamespace(curate_job_name="curate", curate_state_table_name="curation")
    return run_job(session, deployed, {"window_by": "event"}, poll_seconds=0, **options)


def test_should_wait_for_the_end_and_tell_how_it_is_getting_on() -> None:
    glue, told = Glue("STARTING", "RUNNING", "RUNNING", "SUCCEEDED"), list[Progress]()
    summary = Summary(run_id="r", objects=4, watermark=HOUR, would_change=[ChangedHour(HOUR, 3)])
    assert run(glue, summary, on_progress=told.append) == Ended("jr_1", 7, summary)
    assert told == [Progress("reading", objects, 9, 1000) for objects in (2, 3, 4)]
    (started,) = glue.started
    assert started["JobName"] == "curate"
    assert set(started["Arguments"]) == {"--window_by", "--run_id"}


@pytest.mark.parametrize("state", ["FAILED", "STOPPED", "TIMEOUT", "ERROR"])
def test_should_give_the_jobs_own_words_when_it_fails(state: str) -> None:
    with pytest.raises(PipelineError, match=f"ended as {state}: cannot read the raw bucket"):
        run(Glue("RUNNING", state, error="Traceback\ncannot read the raw bucket\n"))


def test_should_say_that_a_run_is_already_going_on() -> None:
    with pytest.raises(PipelineError, match="already going on"):
        run(Glue())


def test_should_not_take_a_success_that_says_nothing_for_one() -> None:
    with pytest.raises(PipelineError, match="ended as SUCCEEDED, but says nothing in table curation"):
        run(Glue("RUNNING", "SUCCEEDED"))


def shown(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=300, highlight=False)
    etl.print_summary(summary, 7, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_should_say_what_a_run_did() -> None:
    text = shown(
        Summary(run_id="r", objects=1234, hours=5, days=2, readings=10_000, quarantined=3, merged=2, watermark=HOUR)
    )
    assert "curated 1,234 files in 7 s: 5 hours of 2 days computed again, 10,000 readings in them" in text
    assert "merged the files of 2 days that are over" in text
    assert "all that arrived until 2026-11-23 12:00:00 UTC is in the tables" in text
    assert "left out" not in text
    assert "12 readings were left out" in shown(Summary(run_id="r", expired_readings=12))


def test_should_say_what_a_run_would_do() -> None:
    text = shown(
        Summary(run_id="r", dry_run=True, objects=2, lines=9, would_change=[ChangedHour(HOUR, 8)], quarantined=1)
    )
    assert "2026-11-23 12:00" in text
    assert "from 2 files with 9 lines, 1 of them for quarantine; nothing was changed" in text
    assert "a run would change nothing" in shown(Summary(run_id="r", dry_run=True))


def test_should_show_files_lines_and_rate_while_a_run_goes_on() -> None:
    console = Console(file=io.StringIO(), width=120, force_terminal=True, highlight=False)
    with etl.bar(console) as follow:
        follow(Progress("reading", 3, 12, 4000))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "curate: reading" in text
    assert "3/12 files" in text
    assert "4,000 lines, " in text
