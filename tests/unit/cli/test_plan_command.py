"""``iot plan`` as a person and a program see it."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner, Result

from cli.verbs import plan as command
from pipeline.errors import PipelineError

app = typer.Typer()
app.command()(command.plan)


def iot_plan(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


def test_should_print_what_a_fleet_needs_and_costs() -> None:
    result = iot_plan("--devices", "100000", "--interval", "10s", "--bytes", "180", "--retention", "365d")
    assert result.exit_code == 0
    assert result.output.startswith("100,000 devices, a reading of 180 bytes every 10s, kept for 365d\n")
    for said in ("provisioned  recommended", "one reading a record", "MSK", "Assumed", "To know"):
        assert said in result.output


def test_should_print_json_with_the_totals_first() -> None:
    found = json.loads(iot_plan("--devices", "5000", "--interval", "1m", "--collect", "5s", "--json").output)
    assert list(found)[:2] == ["devices", "usd"]
    assert (found["devices"], list(found["usd"])) == (5000, ["ours", "one reading a record", "MSK"])
    assert found["fleet"]["interval_seconds"] == 60
    assert found["fleet"]["collect_seconds"] == 5
    ours = found["variants"][0]
    assert sum(line["usd_per_month"] for line in ours["items"]) == pytest.approx(found["usd"]["ours"])


def test_should_say_what_to_deploy_for_the_stream_asked_for() -> None:
    on_kinesis, on_msk = iot_plan("--devices", "1000000"), iot_plan("--devices", "1000000", "--ingest", "msk")
    assert "deploy with -c stream_mode=provisioned -c shards=35" in on_kinesis.output
    assert "deploy with -c ingest=msk -c kafka_partitions=12;" in on_msk.output


def test_should_refuse_a_stream_that_there_is_not() -> None:
    result = iot_plan("--ingest", "kafka")
    assert result.exit_code == 2
    assert "'kafka' is not one of 'kinesis', 'msk'" in " ".join(result.output.replace("│", " ").split())


def test_should_take_how_many_alerts_there_are() -> None:
    few, many = (
        json.loads(iot_plan("--alerts-per-day", number, "--json").output)["usd"]["ours"] for number in ("0", "100000")
    )
    assert many > few


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--interval", "often"), "--interval: invalid duration 'often': write 90s, 5m, 2h, 7d"),
        (("--retention", "2y"), "--retention: invalid duration '2y'"),
        (("--retention", "400d"), "--retention: invalid duration '400d': it can be at most 365d"),
        (("--retention", "7d"), "retention: 32d at least"),
        (("--interval", "0s"), "interval: 1s at least"),
        (("--collect", "1h"), "collect: 1s to 15m"),
    ],
)
def test_should_say_in_one_line_what_cannot_be_planned(arguments: tuple[str, ...], said: str) -> None:
    error = iot_plan(*arguments).exception
    assert isinstance(error, PipelineError)
    assert str(error).startswith(said)


@pytest.mark.parametrize("arguments", [("--devices", "0"), ("--bytes", "0"), ("--alerts-per-day", "-1")])
def test_should_refuse_numbers_out_of_bounds(arguments: tuple[str, ...]) -> None:
    result = iot_plan(*arguments)
    assert result.exit_code == 2
    assert "Invalid value" in result.output


def test_should_teach_with_its_help() -> None:
    result = iot_plan("--help")
    assert "iot plan --devices 100000 --interval 10s --bytes 180 --retention 365d" in " ".join(result.output.split())
