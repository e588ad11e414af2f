"""The whole way of a reading on this machine, shown to a person and held to account."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import functools
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from local import deployment as local_deployment
from local import emulator, endpoint
from pipeline import athena, deployment, etl, show
from pipeline.audit import Audit, audit, count_raw_lines
from pipeline.inbox import Inbox, Received, open_inbox
from simulator.fleet import FleetConfig
from simulator.kinesis import KinesisSink
from simulator.run import Manifest, Mischief, simulate

if TYPE_CHECKING:
    import boto3
    from rich.console import Console

    from pipeline.deployment import Deployment

FOLDER = emulator.ROOT / "build" / "demo"
MANIFEST = FOLDER / "manifest.json"
SUMMARY = FOLDER / "summary.json"

STAGE = "dev"
DEVICES, GATEWAYS, RATE, SECONDS = 300, 20, 1000, 30
FAULTS, MALFORMED, DUPLICATES = 8, 30, 60

#: How long to wait for what is still under way after the simulator has ended, in seconds; what is missing
#: after that is for the audit to tell.
_SETTLE_SECONDS = 20.0

_QUERIES = {
    "The five hottest devices": """
        SELECT device_id, site, max(temperature) AS hottest, count(*) AS readings
        FROM readings GROUP BY device_id, site ORDER BY hottest DESC LIMIT 5""",
    "By the hour": """
        SELECT hour_start, count(*) AS devices, sum(received) AS readings, sum(expected) AS expected,
               sum(duplicates) AS duplicates, avg(temperature_mean) AS mean_temperature, max(temperature_max) AS hottest
        FROM readings_hourly GROUP BY hour_start ORDER BY hour_start""",
    "Quarantine by reason": """
        SELECT reason, count(*) AS lines FROM quarantine GROUP BY reason ORDER BY lines DESC, reason""",
}

_EXAMPLE = "SELECT * FROM readings_hourly LIMIT 5"


class Latency(msgspec.Struct):
    """From a reading's event time to the alert in the inbox, in milliseconds."""

    p50: float
    p95: float
    max: float


class Summary(msgspec.Struct):
    """What ``build/demo/summary.json`` holds; ``seconds`` by phase."""

    sent: int
    raw: int
    curated: int
    duplicates: int
    quarantined: int
    lost: int
    alerts_expected: int
    alerts_received: int
    alert_latency_ms: Latency
    seconds: dict[str, float]


def run(console: Console, *, started_at: float | None = None, home: Path = emulator.HOME) -> bool:
    """Run the demo; whether everything added up. ``started_at`` (Unix time) is when its set-up began.

    Starts from an empty local AWS, the one of ``home``, and leaves it up; interrupted, it leaves no process.
    """
    began = started_at or time.time()
    seconds = {"setup": time.time() - began}
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        instance = emulator.start(home=home)
        emulator.reset(home)
        session = endpoint.enter(instance.endpoint)
        console.print(f"[bold]Local AWS[/] at {instance.endpoint}")
        with _timed(seconds, "deploy"):
            deploy(session, STAGE, console, home=home)
        deployed = deployment.find(session, STAGE)
        with _timed(seconds, "simulate"):
            manifest, received = _simulate_and_listen(session, deployed, console)
        with _timed(seconds, "etl"), console.status("the curate job is starting") as status:
            etl.run_job(
                session.client("glue"),
                deployed.curate_job_name,
                {},
                on_state=lambda state: status.update(f"the curate job is {state.lower()}"),
            )
        for title, sql in _QUERIES.items():
            show.print_frame(athena.query(session, deployed, sql), title=title, console=console)
        result = audit(
            session, deployed, sent=manifest.sent, started_at=manifest.started_at, ended_at=manifest.ended_at
        )
    except KeyboardInterrupt:
        emulator.stop(home)
        raise
    seconds["total"] = time.time() - began
    expected, seen = _expected_alerts(manifest), _distinct_alerts(received)
    summary = _summary(result, len(expected), len(seen), received, seconds)
    SUMMARY.write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    show.print_audit(result, console)
    alerts_match = expected == sorted(seen.values())
    _print_alert_audit(summary, console, match=alerts_match)
    _print_next_steps(instance.endpoint, deployed, console)
    if manifest.refused:
        console.print(f"[bold red]{manifest.refused:,} lines could not be sent[/]: {manifest.refusal}")
    return result.adds_up and alerts_match and not manifest.refused


def deploy(session: boto3.Session, stage: str, console: Console, *, home: Path = emulator.HOME) -> None:
    """Deploy the stacks to the local AWS and show a bar for each."""
    columns = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        synth = progress.add_task("preparing the stacks", total=None)
        tasks: dict[str, TaskID] = {}

        def advance(event: local_deployment.Progress) -> None:
            progress.update(synth, total=1, completed=1)
            if event.stack not in tasks:
                tasks[event.stack] = progress.add_task(event.stack, total=event.total or None)
            task = tasks[event.stack]
            if event.finished:
                total = progress.tasks[task].total or 1
                progress.update(task, total=total, completed=total)
            else:
                progress.update(task, total=event.total, completed=event.done)

        local_deployment.deploy(session.client("cloudformation"), stage, advance, home=home)


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[phase] = time.monotonic() - start


def _simulate_and_listen(
    session: boto3.Session, deployed: Deployment, console: Console
) -> tuple[Manifest, list[Received]]:
    """Run the fleet and show alerts as they arrive, until all that was sent is in the raw zone."""
    console.print(
        f"[bold]Simulating[/] {DEVICES} devices behind {GATEWAYS} gateways, {RATE:,} readings/s for {SECONDS} s; "
        f"{FAULTS} devices break a rule, {MALFORMED} lines are malformed, {DUPLICATES} arrive twice"
    )
    stop = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.completed:,} lines"))
    received: list[Received] = []
    with (
        open_inbox(session, deployed.alerts_topic_arn) as inbox,
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        task = progress.add_task("sending", total=RATE * SECONDS + MALFORMED + DUPLICATES)
        running = pool.submit(
            simulate,
            FleetConfig(devices=DEVICES, gateways=GATEWAYS, interval=DEVICES / RATE),
            KinesisSink(session.client("kinesis"), deployed.stream_name),
            readings=RATE * SECONDS,
            mischief=Mischief(faults=FAULTS, malformed=MALFORMED, duplicates=DUPLICATES),
            stopped=stop.is_set,
            on_progress=lambda counts: progress.update(task, completed=counts.sent),
        )
        try:
            while not running.done():
                received += _show_new(inbox, progress.console)
            manifest = running.result()
            MANIFEST.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
            raw_bucket = deployed.raw_bucket_name
            in_raw_zone = functools.partial(_is_in_raw_zone, session, raw_bucket, manifest)
            deadline = time.monotonic() + _SETTLE_SECONDS
            while time.monotonic() < deadline and not (
                len(received) >= len(_expected_alerts(manifest)) and in_raw_zone()
            ):
                received += _show_new(inbox, progress.console)
        finally:
            stop.set()
    return manifest, received


def _show_new(inbox: Inbox, console: Console) -> list[Received]:
    arrived = inbox.receive(wait_seconds=1)
    for alert in arrived:
        show.print_alert(alert, console=console)
    return arrived


def _is_in_raw_zone(session: boto3.Session, bucket: str, manifest: Manifest) -> bool:
    return count_raw_lines(session, bucket, manifest.started_at, manifest.ended_at) >= manifest.sent


#: An alert's change as both the ground truth and a message tell it: device, rule, state, event time.
_Change = tuple[str, str, str, dt.datetime]


def _expected_alerts(manifest: Manifest) -> list[_Change]:
    changes: list[_Change] = []
    for fault in manifest.faults:
        changes.append((fault.device, fault.rule, "firing", fault.since))
        if fault.until:
            changes.append((fault.device, fault.rule, "resolved", fault.until))
    return sorted(changes)


def _distinct_alerts(received: list[Received]) -> dict[tuple[str, str], _Change]:
    """What arrived, by alert and state: the same message twice, which at-least-once allows, counts once."""
    return {
        (message.alert_id, message.state): (message.device, message.rule, message.state, message.changed_at)
        for message, _ in received
    }


def _summary(result: Audit, expected: int, seen: int, received: list[Received], seconds: dict[str, float]) -> Summary:
    latencies = sorted(alert.latency_ms for alert in received) or [math.nan]
    return Summary(
        sent=result.sent,
        raw=result.raw,
        curated=result.curated,
        duplicates=result.duplicates,
        quarantined=result.quarantined,
        lost=result.lost,
        alerts_expected=expected,
        alerts_received=seen,
        alert_latency_ms=Latency(
            p50=_quantile(latencies, 0.5), p95=_quantile(latencies, 0.95), max=_quantile(latencies, 1)
        ),
        seconds={name: round(value, 1) for name, value in seconds.items()},
    )


def _quantile(ordered: list[float], q: float) -> float:
    """The smallest value that at least the share ``q`` of all does not exceed (nearest rank)."""
    return round(ordered[max(0, math.ceil(q * len(ordered)) - 1)], 1)


def _print_alert_audit(summary: Summary, console: Console, *, match: bool) -> None:
    verdict = "[green]as expected[/]" if match else "[bold red]not as expected[/]"
    latency = summary.alert_latency_ms
    console.print(
        f"alerts: {summary.alerts_received} received, {summary.alerts_expected} expected: {verdict}; from event to "
        f"inbox p50 {latency.p50:.0f}, p95 {latency.p95:.0f}, max {latency.max:.0f} ms"
    )
    console.print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in summary.seconds.items()))


def _print_next_steps(url: str, deployed: Deployment, console: Console) -> None:
    console.print(
        f"""
[bold]Still up[/] at {url}; "make down" stops it
  tables      database {deployed.database_name}: readings, readings_hourly, quarantine
              .venv/bin/iot query "{_EXAMPLE}"
  dashboard   {deployed.dashboard_name}: stored here, drawn by CloudWatch on AWS
  summary     {SUMMARY}
  commands    .venv/bin/iot --help"""
    )
