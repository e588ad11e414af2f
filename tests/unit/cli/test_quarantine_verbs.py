"""``iot quarantine`` as a person types it, with a made-up lake and stream."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli import target
from cli.verbs.quarantine import app
from pipeline import quarantine
from pipeline.errors import PipelineError
from telemetry.reading.codec import decode_batch, encode_batch
from telemetry.reading.model import MAX_LATENESS, Reading
from telemetry.tables.curated import QUARANTINE
from tests.unit.pipeline.alerting import DEPLOYED
from tests.unit.pipeline.lake import Lake

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
KEY = "raw/dt=2026-11-23/hour=12/firehose-1"


def reading(seq: int, ts: dt.datetime = NOW) -> Reading:
    return Reading(device_id="d1", site="s", ts=ts, seq=seq, status="ok", temperature=21.0)


def line_of(one: Reading) -> str:
    return encode_batch([one]).decode().strip()


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> Lake:
    lake = Lake(QUARANTINE)
    monkeypatch.setattr(quarantine, "query", lake.query)
    return lake


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    with mock_aws():
        session = boto3.Session()
        session.client("kinesis").create_stream(StreamName=DEPLOYED.stream_name, ShardCount=1)
        monkeypatch.setattr(target, "deployed", lambda _: (session, DEPLOYED))
        yield session


@pytest.fixture
def iot(session: boto3.Session, lake: Lake) -> Callable[..., Result]:
    """``iot quarantine`` with these words; raises what ``iot`` prints on one line with exit code 1."""

    def run(*words: str | Path, text: str | bytes = "") -> Result:
        choice = target.Choice(aws=True, stage="dev")
        return CliRunner().invoke(app, [str(word) for word in words], input=text, obj=choice, catch_exceptions=False)

    return run


def sent(session: boto3.Session) -> list[tuple[str, bytes]]:
    kinesis = session.client("kinesis")
    (shard,) = kinesis.list_shards(StreamName=DEPLOYED.stream_name)["Shards"]
    iterator = kinesis.get_shard_iterator(
        StreamName=DEPLOYED.stream_name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = kinesis.get_records(ShardIterator=iterator)["Records"]
    return [(record["PartitionKey"], record["Data"]) for record in records]


def add(lake: Lake, number: int, line: str, reason: str = "wrong_type", days: int = 0) -> None:
    arrived = NOW + dt.timedelta(days=days)
    lake.add(
        QUARANTINE, f"{arrived:%Y-%m-%d}", id=f"{number:04x}9c0102030405", reason=reason, detail="it is odd", line=line,
        arrived=arrived, raw_object=KEY, raw_line=number, raw_offset=0,
    )  # fmt: skip


def test_should_list_lines_and_count_them_by_reason(iot: Callable[..., Result], lake: Lake) -> None:
    add(lake, 1, "first")
    add(lake, 2, "second")
    add(lake, 3, "third", reason="not_json", days=-1)
    result = iot("list", "--limit", "2")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["id", "00029c01", "00019c01"]
    assert result.stderr == (
        "in quarantine: 3 lines (2 wrong_type, 1 not_json)\nlisted are the newest 2; --limit 3 lists all\n"
    )
    result = iot("list", "--reason", "not_json", "--from", "2020-01-01", "--to", f"{NOW:%Y-%m-%d}")
    assert "third" in result.stdout
    assert result.stderr == "in quarantine: 1 lines (1 not_json)\n"
    result = iot("list", "--reason", "empty")
    assert (result.stdout, result.stderr) == ("", "there is no such line in quarantine\n")


def test_should_list_lines_as_json_that_is_taken_back(
    iot: Callable[..., Result], lake: Lake, session: boto3.Session
) -> None:
    add(lake, 1, line_of(reading(1)).replace("21.0", '"21.0"'))
    listed = iot("list", "--json").stdout
    assert json.loads(listed) == {
        "id": "00019c0102030405",
        "reason": "wrong_type",
        "detail": "it is odd",
        "line": line_of(reading(1)).replace("21.0", '"21.0"'),
        "arrived": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
        "ts": None,
        "raw_object": KEY,
        "raw_line": 1,
        "raw_offset": 0,
    }
    refused = iot("replay", "-", text=listed)
    assert refused.exit_code == 1
    assert refused.stdout.startswith("line 1 (00019c0102030405): wrong_type: Expected `float | null`, got `str` - at")
    assert refused.stdout.endswith("nothing was sent\n")
    assert sent(session) == []
    replayed = iot("replay", "-", text=listed.replace(r"\"21.0\"", "21.0"))
    assert replayed.exit_code == 0
    assert replayed.stdout.startswith("sent 1 lines as gateway replay;")
    assert [(key, decode_batch(data).readings) for key, data in sent(session)] == [("replay", [reading(1)])]


def test_should_show_a_line_and_how_to_fetch_it(iot: Callable[..., Result], lake: Lake) -> None:
    add(lake, 1, "first")
    command = f"aws s3 cp s3://the-raw-bucket-name/{KEY} - | gzip -dcf | sed -n 1p"
    shown = iot("show", "0001").stdout
    assert f"fetch it   {command}\n\n  first\n" in shown
    found = json.loads(iot("show", "0001", "--json").stdout)
    assert (found["line"], found["fetch"]) == ("first", command)
    with pytest.raises(PipelineError, match="no line ffff is in quarantine"):
        iot("show", "ffff")


def test_should_send_what_is_good_and_fail_for_the_rest(
    iot: Callable[..., Result], session: boto3.Session, tmp_path: Path
) -> None:
    file = tmp_path / "lines.jsonl"
    old = NOW - MAX_LATENESS - dt.timedelta(hours=1)
    file.write_text("\n".join([line_of(reading(1)), "garbage", line_of(reading(2, old)), line_of(reading(3))]))
    tried = iot("replay", file, "--dry-run")
    assert tried.exit_code == 1
    assert tried.stdout.splitlines()[-1] == "2 lines would be sent"
    assert sent(session) == []
    done = iot("replay", file)
    assert done.exit_code == 1
    assert [line.split(": ")[:2] for line in done.stdout.splitlines()[:-1]] == [
        ["line 2", "not_json"],
        ["line 3", "too_late"],
    ]
    ((key, data),) = sent(session)
    assert (key, decode_batch(data).readings) == ("replay", [reading(1), reading(3)])


def test_should_replay_lines_of_a_reason_that_are_readings_by_now(
    iot: Callable[..., Result], lake: Lake, session: boto3.Session
) -> None:
    add(lake, 1, line_of(reading(1)), reason="from_future", days=-1)
    add(lake, 2, line_of(reading(2, NOW + dt.timedelta(days=99))), reason="from_future")
    add(lake, 3, line_of(reading(3)), reason="from_future")
    add(lake, 4, line_of(reading(4)), reason="wrong_type")
    tried = iot("replay", "--reason", "from_future", "--dry-run")
    assert (tried.exit_code, tried.stdout) == (0, "2 lines would be sent\n")
    assert tried.stderr == "2 of 3 lines are valid readings now\n"
    assert iot("replay", "--reason", "from_future", text="n\n").exit_code == 1
    assert sent(session) == []
    asked = iot("replay", "--reason", "from_future", "--from", f"{NOW:%Y-%m-%d}", text="y\n")
    assert "put 1 lines back on the Kinesis stream the-stream-name?" in asked.stderr
    assert asked.exit_code == 0
    assert iot("replay", "--reason", "from_future", "--yes").exit_code == 0
    assert [[one.seq for one in decode_batch(data).readings] for _, data in sent(session)] == [[3], [1, 3]]
    assert iot("replay", "--reason", "empty").stdout == "nothing was sent\n"


def test_should_warn_of_conflicts_in_a_file(iot: Callable[..., Result], lake: Lake) -> None:
    add(lake, 1, line_of(reading(1)), reason="conflict")
    replayed = iot("replay", "-", "--dry-run", text=iot("list", "--json").stdout)
    assert replayed.stderr.startswith("1 of them are conflicts: they end in quarantine again, unless")
    assert replayed.stdout == "1 lines would be sent\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay",), "name what to replay: a FILE, or else --reason"),
        (("replay", "-", "--reason", "empty"), "name what to replay"),
        (("replay", "-", "--from", "2026-11-23"), "name what to replay"),
        (("replay", "-"), "there is no line in -"),
        (("replay", "none.jsonl"), "cannot read the lines in none.jsonl"),
        (("replay", "--reason", "conflict"), "a conflict is a reading already"),
        (("list", "--from", "yesterday"), "--from: invalid day 'yesterday': write a day such as 2026-11-23"),
        (("list", "--from", "2026-11-23", "--to", "2026-11-22"), "--from 2026-11-23 lies after --to 2026-11-22"),
    ],
)
def test_should_say_why_it_cannot_be_done(
    iot: Callable[..., Result], words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError) as raised:
        iot(*words)
    assert str(raised.value).startswith(said)


def test_should_refuse_a_reason_that_there_is_not(iot: Callable[..., Result]) -> None:
    refused = iot("list", "--reason", "bad")
    assert refused.exit_code == 2
    assert "corrupt_object" in refused.output
