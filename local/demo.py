"""The whole way of a reading on this machine, shown to a person and held to account."""

from __future__ import annotations

import concurrent.futures
import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from local import alert_audit, emulator, endpoint
from local import deployment as local_deployment
from pipeline import athena, deployment, etl, registry, show, show_alerts, show_etl
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

#: The demo's fleet.
REGISTRY = emulator.ROOT / "registry" / "devices.csv"

STAGE = "dev"
DEVICES, GATEWAYS, RATE, SECONDS = 300, 20, 1000, 30
FAULTS, MALFORMED, DUPLICATES = 8, 30, 60

#: How long to wait for what is still under way after the simulator has ended, in seconds: above all for groups
#: whose next message is to come, up to their group_interval after the one before. What is missing after that is for
#: the audit to tell.
_SETTLE_SECONDS = 60.0

_QUERIES = {
    "The five hottest devices": """
        SELECT device_id, site, max(temperature) AS hottest, count(*) AS readings
        FROM readings GROUP BY device_id, site ORDER BY hottest DESC LIMIT 5""",
    "By the hour": """
        SELECT hour_start, count(*) AS devices, sum(received) AS readings, sum(expected) AS expected,
               sum(duplicates) AS duplicates, avg(temperature_mean) AS mean_temperature, max(temperature_max) AS hottest
        FROM readings_hourly GROUP BY hour_start ORDER BY hour_start""",
    "The health of the devices that lost most": """
        SELECT device_id, model, received, lost, duplicates, completeness, lateness_p95, battery_last
        FROM device_health ORDER BY completeness, device_id LIMIT 5""",
    "Quarantine by reason": """
        SELECT reason, count(*) AS lines FROM quarantine GROUP BY reason ORDER BY lines DESC, reason""",
}

_TRANSITIONS = """
    SELECT change, count(*) AS n FROM (SELECT DISTINCT alert_id, sequence, change FROM alerts)
    GROUP BY change ORDER BY change"""

_EXAMPLE = "SELECT * FROM readings_hourly LIMIT 5"


class Summary(msgspec.Struct):
    """What ``build/demo/summary.json`` holds.

    ``alerts_`` count the firing and the end of an alert; ``transitions`` are the alerts table's by change, ``seconds``
    by phase.
    """

    sent: int
    raw: int
    curated: int
    duplicates: int
    quarantined: int
    lost: int
    alerts_expected: int
    alerts_received: int
    notifications: int
    alert_latency_ms: alert_audit.Latency
    transitions: dict[str, int]
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
        registry.apply(session, deployed, REGISTRY.read_bytes())
        with _timed(seconds, "simulate"):
            manifest, received = _simulate_and_listen(session, deployed, console)
        with _timed(seconds, "etl"), show_etl.bar(console) as follow:
            etl.run_job(session, deployed, {}, on_progress=follow)
        for title, sql in _QUERIES.items():
            show.print_frame(athena.query(session, deployed, sql), title=title, console=console)
        result = audit(
            session, deployed, sent=manifest.sent, started_at=manifest.started_at, ended_at=manifest.ended_at
        )
        transitions = _transitions(session, deployed)
    except KeyboardInterrupt:
        emulator.stop(home)
        raise
    seconds["total"] = time.time() - began
    summary = _summary(result, manifest, received, transitions, seconds)
    SUMMARY.write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    show.print_audit(result, console)
    alerts_match = alert_audit.expected(manifest) == sorted(alert_audit.told(received).values())
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
                len(alert_audit.told(received)) >= len(alert_audit.expected(manifest)) and in_raw_zone()
            ):
                received += _show_new(inbox, progress.console)
        finally:
            stop.set()
    return manifest, received


def _show_new(inbox: Inbox, console: Console) -> list[Received]:
    arrived = inbox.receive(wait_seconds=1)
    for notification in arrived:
        show_alerts.print_notification(notification, console=console)
    return arrived


def _is_in_raw_zone(session: boto3.Session, bucket: str, manifest: Manifest) -> bool:
    return count_raw_lines(session, bucket, manifest.started_at, manifest.ended_at) >= manifest.sent


def _transitions(session: boto3.Session, deployed: Deployment) -> dict[str, int]:
    """How many transitions of each kind the alerts table has, each once."""
    frame = athena.query(session, deployed, _TRANSITIONS)
    return {str(change): int(count) for change, count in zip(frame["change"], frame["n"], strict=True)}


def _summary(
    result: Audit, manifest: Manifest, received: list[Received], transitions: dict[str, int], seconds: dict[str, float]
) -> Summary:
    return Summary(
        sent=result.sent,
        raw=result.raw,
        curated=result.curated,
        duplicates=result.duplicates,
        quarantined=result.quarantined,
        lost=result.lost,
        alerts_expected=len(alert_audit.expected(manifest)),
        alerts_received=len(alert_audit.told(received)),
        notifications=len({notification.notification_id for notification, _ in received}),
        alert_latency_ms=alert_audit.latency(received),
        transitions=transitions,
        seconds={name: round(value, 1) for name, value in seconds.items()},
    )


def _print_alert_audit(summary: Summary, console: Console, *, match: bool) -> None:
    verdict = "[green]as expected[/]" if match else "[bold red]not as expected[/]"
    latency = summary.alert_latency_ms
    console.print(
        f"alerts: {summary.alerts_received} changes in {summary.notifications} notifications, "
        f"{summary.alerts_expected} expected: {verdict}"
    )
    console.print(
        f"from event to inbox, the group_wait included: p50 {latency.p50:.0f}, p95 {latency.p95:.0f}, "
        f"max {latency.max:.0f} ms"
    )
    by_change = ", ".join(f"{count} {change}" for change, count in summary.transitions.items())
    console.print(f"alerts table: {by_change or 'empty'}")
    console.print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in summary.seconds.items()))


def _print_next_steps(url: str, deployed: Deployment, console: Console) -> None:
    console.print(
        f"""
[bold]Still up[/] at {url}; "make down" stops it
  tables      database {deployed.database_name}: iot query --tables
              .venv/bin/iot query "{_EXAMPLE}"
  dashboard   {deployed.dashboard_name}: stored here, drawn by CloudWatch on AWS
  summary     {SUMMARY}
  commands    .venv/bin/iot --help"""
    )
