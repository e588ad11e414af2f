"""``iot audit`` as a person and a program see it, with audits that are made up."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import boto3
import msgspec
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from cli import target
from cli.verbs import audit as command
from evaluation import audit as auditing
from evaluation.audit import Audit, Counts, DeviceRow
from evaluation.raw_lines import NOT_READABLE, Lateness, OnProgress
from pipeline.errors import PipelineError
from simulator.run.manifest import Manifest
from tests.unit.pipeline.alerting import DEPLOYED, NOW

app = typer.Typer()
app.command()(command.audit)

LATE = Lateness(p50=1.04, p95=1.96, max=70.0)
GOOD = Audit(
    totals=Counts(sent=30_090, raw=30_090, curated=30_000, duplicates=60, quarantined=30, reordered=7, lateness=LATE),
    devices=[
        DeviceRow(device="d-1", sent=30_000, raw=30_000, curated=30_000, reordered=7, lateness=LATE),
        DeviceRow(device="d-2", sent=90, raw=90, duplicates=60, quarantined=30),
    ],
    foreign=0,
    real_time=True,
)
BAD = msgspec.structs.replace(
    GOOD,
    totals=msgspec.structs.replace(
        GOOD.totals, lost_in_delivery=2, lost_in_curation=1, surplus_in_delivery=4, surplus_in_curation=1,
        refused=5, redelivered=6,
    ),
    devices=[
        DeviceRow(device=NOT_READABLE, sent=2, lost_in_delivery=2),
        DeviceRow(device="[d]", raw=1, lost_in_curation=1),
        *GOOD.devices,
    ],
    foreign=1_234,
)  # fmt: skip


class Asked:
    """The manifests that were audited, and what comes of the next."""

    def __init__(self) -> None:
        self.manifests: list[Manifest] = []
        self.result = GOOD

    def audit(self, _session: object, _deployed: object, run: Manifest, *, on_progress: OnProgress) -> Audit:
        on_progress(1, 2)
        self.manifests.append(run)
        return self.result


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()
    monkeypatch.setattr(target, "deployed", lambda _: (boto3.Session(), DEPLOYED))
    monkeypatch.setattr(auditing, "audit", asked.audit)
    return asked


RUN = Manifest(
    scenario="test", seed=1, devices=2, gateways=1, speed=1, started_at=NOW, ended_at=NOW, arrived_from=NOW,
    arrived_to=NOW, sent=0, duplicates=0, malformed=0, late=0, reordered=0, refused=0, retried=0, refusal="",
    by_device={},
)  # fmt: skip


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "run.json"
    file.write_bytes(msgspec.json.encode(RUN))
    return file


def iot_audit(manifest: Path, *words: str) -> Result:
    command_line = ["--manifest", str(manifest), *words]
    return CliRunner().invoke(app, command_line, obj=target.Choice(aws=False, stage="dev"), catch_exceptions=False)


def stages(text: str) -> dict[str, str]:
    """The counts by their names."""
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in text.splitlines() if row.startswith("│")]
    return {name: count for name, count, _ in cells}


def devices(text: str) -> dict[str, list[str]]:
    """The cells of the devices' table by the device."""
    rows = text.partition("The worst of")[2].splitlines()[3:]
    return {device: cells for device, *cells in (re.split(r"\s{2,}", row.strip()) for row in rows)}


def test_should_show_the_stages_and_the_worst_devices(asked: Asked, manifest: Path) -> None:
    ended = iot_audit(manifest)
    assert ended.exit_code == 0
    assert asked.manifests == [RUN]
    shown = stages(ended.stdout)
    names = ["sent", "in the raw zone", "curated", "duplicates", "quarantined", "lost in delivery", "lost in curation"]
    assert list(shown) == names
    assert [shown[name] for name in names] == ["30,090", "30,090", "30,000", "60", "30", "0", "0"]
    worst = devices(ended.stdout)
    assert list(worst) == ["d-2", "d-1"]
    assert worst["d-2"] == ["90", "90", "-", "-", "-", "60", "30", "-", "-"]
    assert worst["d-1"] == ["30,000", "30,000", "-", "-", "-", "-", "-", "7", "1.0, 2.0, 70.0"]
    assert "it adds up: all that was sent is in the raw zone" in ended.stdout
    assert "7 readings arrived after a younger one" in ended.stdout
    assert "late by p50 1.0, p95 2.0, max 70.0 s" in ended.stdout
    assert "none of this run's" not in ended.stdout
    assert ended.stderr == ""


def test_should_fail_and_say_where_it_was_when_it_does_not_add_up(asked: Asked, manifest: Path) -> None:
    asked.result = BAD
    ended = iot_audit(manifest)
    assert ended.exit_code == 1
    shown = stages(ended.stdout)
    for name, count in {
        "refused": "5", "redelivered": "6", "lost in delivery": "2", "lost in curation": "1", "never sent": "4",
        "never arrived": "1",
    }.items():  # fmt: skip
        assert shown[name] == count
    worst = devices(ended.stdout)
    assert list(worst) == ["not readable", "[d]", "d-2", "d-1"]
    assert worst["not readable"] == ["2", "-", "2", "-", "-", "-", "-", "-", "-"]
    assert worst["[d]"] == ["-", "1", "-", "1", "-", "-", "-", "-", "-"]
    assert "it does not add up: 3 lost and 5 too many" in ended.stdout
    assert "1,234 more lines came in these hours that are none of this run's" in ended.stdout


@pytest.mark.parametrize(("most", "listed"), [("1", ["not readable"]), ("0", [])])
def test_should_list_as_many_devices_as_asked_for(most: str, listed: list[str], asked: Asked, manifest: Path) -> None:
    asked.result = BAD
    shown = iot_audit(manifest, "--devices", most).stdout
    assert list(devices(shown)) == listed
    assert ("The worst of" in shown) == bool(listed)


def test_should_follow_the_reading_on_a_terminal_and_nowhere_else() -> None:
    for terminal in (True, False):
        file = io.StringIO()
        with command.bar(Console(file=file, force_terminal=terminal, width=80)) as follow:
            follow(3, 7)
        assert ("raw objects" in file.getvalue()) == ("3/7" in file.getvalue()) == terminal


def test_should_leave_lateness_out_where_it_means_nothing(asked: Asked, manifest: Path) -> None:
    asked.result = msgspec.structs.replace(
        GOOD,
        real_time=False,
        totals=msgspec.structs.replace(GOOD.totals, lateness=None),
        devices=[msgspec.structs.replace(row, lateness=None) for row in GOOD.devices],
    )
    shown = iot_audit(manifest).stdout
    assert "no lateness: the run was not in real time" in shown
    assert "late p50" not in shown
    assert len(devices(shown)["d-1"]) == 8
    told = json.loads(iot_audit(manifest, "--json").stdout)
    assert told["real_time"] is False
    assert told["totals"]["lateness"] is told["devices"][0]["lateness"] is None


@pytest.mark.parametrize(("result", "code"), [(GOOD, 0), (BAD, 1)])
def test_should_give_a_program_everything(result: Audit, code: int, asked: Asked, manifest: Path) -> None:
    asked.result = result
    ended = iot_audit(manifest, "--json", "--devices", "1")
    assert ended.exit_code == code
    told = json.loads(ended.stdout)
    assert {name: told[name] for name in ("adds_up", "lost", "foreign", "real_time")} == {
        "adds_up": not code, "lost": result.lost, "foreign": result.foreign, "real_time": True
    }  # fmt: skip
    assert told["totals"] == msgspec.to_builtins(result.totals) | {"lost": result.lost}
    assert told["devices"] == [msgspec.to_builtins(row) | {"lost": row.lost} for row in result.devices]


OLD = {"sent": 400, "started_at": "2026-11-23T12:00:00Z", "ended_at": "2026-11-23T12:00:30Z", "faults": []}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"no", "is not a manifest of a simulation: Input data was truncated"),
        (json.dumps(OLD).encode(), "is not a manifest of a simulation: Object missing required field `scenario`"),
        (b'{"scenario": "\xff"}', "is not a manifest of a simulation: "),
        (
            msgspec.json.encode(msgspec.structs.replace(RUN, arrived_from=NOW.replace(tzinfo=None))),
            "its times need a time zone",
        ),
        (
            msgspec.json.encode(msgspec.structs.replace(RUN, sent=1)),
            "sent is not the sum of what by_device says; use the manifest as it was written",
        ),
    ],
)
def test_should_refuse_what_is_no_manifest_before_anything_is_read(
    text: bytes, said: str, asked: Asked, tmp_path: Path
) -> None:
    file = tmp_path / "odd.json"
    file.write_bytes(text)
    with pytest.raises(PipelineError) as raised:
        iot_audit(file)
    assert said in str(raised.value)
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)
    assert asked.manifests == []


def test_should_say_how_to_write_the_manifest_that_is_not_there(asked: Asked, tmp_path: Path) -> None:
    file = tmp_path / "none.json"
    with pytest.raises(PipelineError, match=r"none\.json is not a manifest .*; write one with 'iot simulate "):
        iot_audit(file)
