"""The demo: adds up when it should, fails when it should, and leaves nothing behind when interrupted."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cli.verbs import demo
from local import emulator
from local.kafka import instance as kafka
from local.kafka.broker import missing
from simulator.faults.truth import decode_injected_faults
from tests.waiting import wait_for

SUMMARY_KEYS = [
    "sent", "raw", "curated", "duplicates", "quarantined", "lost", "incidents", "alerts", "notifications",
    "precision", "recall", "notifications_an_incident", "alert_latency_ms", "alert_latencies_ms", "transitions",
    "seconds",
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    kafka.stop(tmp_path)
    emulator.stop(tmp_path)


@pytest.fixture(autouse=True)
def _own_files_and_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(demo, "DEMO_MANIFEST", tmp_path / "demo" / "manifest.json")
    monkeypatch.setattr(demo, "DEMO_SUMMARY", tmp_path / "demo" / "summary.json")
    monkeypatch.setattr(demo, "TRUTH", tmp_path / "demo" / "manifest.truth.jsonl")
    monkeypatch.setattr(demo, "SPEED", 150.0)
    before = dict(os.environ)
    yield
    # The demo turns its process to its own AWS.
    os.environ.clear()
    os.environ.update(before)


def test_should_account_for_every_line_and_alert(home: Path) -> None:
    shown = io.StringIO()
    assert demo.run(Console(file=shown, width=120), home=home)
    summary = json.loads((home / "demo" / "summary.json").read_text())
    assert list(summary) == SUMMARY_KEYS
    assert list(summary["alert_latency_ms"]) == ["p50", "p95", "max"]
    latencies = summary["alert_latencies_ms"]
    assert len(latencies) == summary["alerts"]
    assert latencies == sorted(latencies)
    assert latencies[-1] == summary["alert_latency_ms"]["max"]
    assert list(summary["seconds"]) == ["setup", "deploy", "simulate", "etl", "total"]
    assert summary["sent"] == summary["raw"] > 30_000
    assert summary["curated"] + summary["duplicates"] + summary["quarantined"] == summary["sent"]
    assert min(summary["duplicates"], summary["quarantined"]) > 10
    assert (summary["lost"], summary["alerts"], summary["recall"], summary["precision"]) == (0, 8, 1.0, 1.0)
    assert (summary["transitions"]["firing"], summary["transitions"]["resolved"]) == (8, 8)
    assert len(decode_injected_faults(demo.TRUTH.read_bytes())) == summary["incidents"] > 1_000
    for words in (
        "The five hottest devices",
        "By the hour",
        "Quarantine by reason",
        "it adds up",
        "make down",
        "group_wait",
        "Score: good",
    ):
        assert words in shown.getvalue()
    assert emulator.running(home), "left up for a look around"


RUN = """
import sys
from pathlib import Path
from rich.console import Console
from cli.verbs import demo
demo.run(Console(force_terminal=False), ingest=sys.argv[2], home=Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("moment", "ingest"),
    [
        ("deploying", "kinesis"),
        pytest.param("simulating", "msk", marks=pytest.mark.skipif(bool(missing()), reason=missing())),
    ],
)
def test_should_leave_no_process_when_interrupted(moment: str, ingest: str, home: Path) -> None:
    output = home / "output"
    with output.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-c", RUN, str(home), ingest], stdout=file, stderr=file)
    try:
        if moment == "deploying":
            wait_for((home / "deploy.log").exists, "the deployment")
        else:
            wait_for(lambda: "firing" in output.read_text(), "an alert", seconds=300)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)
    finally:
        process.kill()
    assert "KeyboardInterrupt" in output.read_text()
    assert emulator.running(home) is None
    assert kafka.running(home) is None, "its processes hold a lock as long as one of them lives"
    wait_for(lambda: not processes_of(home), "the end of every process")


def processes_of(home: Path) -> list[str]:
    """The command lines of processes that have to do with this run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (folder / "environ").read_bytes().decode(errors="replace")
            if str(home) in command or str(home) in environment:
                found.append(command)
    return found
