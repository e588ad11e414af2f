"""The edge of the job: what it prints and publishes, and how a failure ends."""

from __future__ import annotations

import datetime as dt
import json
import runpy

import boto3
import pytest

from glue_jobs.curate import job
from glue_jobs.curate.engines.duckdb_engine import DuckDBEngine
from glue_jobs.curate.hours import HOUR
from glue_jobs.curate.main import main
from tests.unit.curate.deployed import REQUIRED, Aws, at

ENVIRON = {name: str(value) for name, value in REQUIRED.items()}


def test_should_print_a_summary_and_publish_its_metrics(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    now = dt.datetime.now(dt.UTC)
    aws.put(now, at(now - dt.timedelta(minutes=1)), at(now - dt.timedelta(minutes=1)), b"oops")
    aws.put(now, at(now - 72 * HOUR), name="b")
    main([], ENVIRON, DuckDBEngine)
    output = capsys.readouterr()
    assert output.err == ""
    summary = json.loads(output.out.splitlines()[-1])
    assert (summary["readings"], summary["duplicates"], summary["quarantined"]) == (2, 1, 1)
    assert summary["expired_readings"] == 0
    cloudwatch = boto3.client("cloudwatch")
    counts = {
        "CuratedReadings": 2,
        "DuplicateReadings": 1,
        "QuarantinedLines": 1,
        "CurateRuns": 1,
    }
    values = {
        name: cloudwatch.get_metric_statistics(
            Namespace="IoTPipeline",
            MetricName=name,
            Dimensions=[{"Name": "stage", "Value": "dev"}, {"Name": "service", "Value": "curate"}],
            StartTime=now - HOUR,
            EndTime=now + HOUR,
            Period=7200,
            Statistics=["Sum"],
        )["Datapoints"][0]["Sum"]
        for name in (*counts, "NewestReadingAge", "Completeness")
    }
    assert values.pop("NewestReadingAge") >= 60
    assert values.pop("Completeness") == 100
    assert values == counts


def test_should_publish_neither_age_nor_completeness_where_no_reading_came(
    aws: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.put(dt.datetime.now(dt.UTC), b"oops")
    main([], ENVIRON, DuckDBEngine)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["completeness"] is None
    listed = boto3.client("cloudwatch").list_metrics(Namespace="IoTPipeline")["Metrics"]
    assert {metric["MetricName"] for metric in listed} == {
        "CuratedReadings",
        "CurateRuns",
        "DuplicateReadings",
        "QuarantinedLines",
    }


def test_should_ask_aws_where_it_is_told_to(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(SystemExit, match=r"^curate: You must specify a region"):
        main([], ENVIRON, DuckDBEngine)
    main(["--region", "us-east-1"], ENVIRON, DuckDBEngine)
    assert json.loads(capsys.readouterr().out)["objects"] == 0


def test_should_end_a_defect_with_a_line_too(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    def full_disk(*_: object) -> DuckDBEngine:
        raise OSError(28, "No space left on device")

    aws.put(dt.datetime.now(dt.UTC), at(dt.datetime.now(dt.UTC)))
    with pytest.raises(SystemExit, match=r"^curate: OSError: \[Errno 28\] No space left on device$"):
        main([], ENVIRON, full_disk)


def test_should_publish_nothing_of_a_dry_run(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    aws.put(dt.datetime.now(dt.UTC), at(dt.datetime.now(dt.UTC)))
    main([], {**ENVIRON, "dry_run": "true"}, DuckDBEngine)
    assert len(json.loads(capsys.readouterr().out)["would_change"]) == 1
    assert boto3.client("cloudwatch").list_metrics(Namespace="IoTPipeline")["Metrics"] == []


@pytest.mark.parametrize("environ", [{}, {**ENVIRON, "raw_bucket": "nowhere"}])
def test_should_end_a_failure_with_the_line_that_says_why(aws: Aws, environ: dict[str, str]) -> None:
    with pytest.raises(SystemExit, match=r"^curate: [^\n]+$"):
        main([], environ, DuckDBEngine)


def test_should_just_return_from_the_script_after_a_success(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["job.py", *(f"--{name}={value}" for name, value in ENVIRON.items())])
    runpy.run_path(job.__file__, run_name="__main__")
    assert json.loads(capsys.readouterr().out)["readings"] == 0


def test_should_end_the_script_with_the_line_that_says_why_its_code_cannot_be_had(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("extra-py-files", "s3://nowhere/job.whl")
    with pytest.raises(SystemExit, match=r"^curate: cannot fetch the job's code from s3://nowhere/job\.whl: [^\n]+$"):
        runpy.run_path(job.__file__, run_name="__main__")
