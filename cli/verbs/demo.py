"""``iot demo``: the whole way of a reading on this machine, shown to a person and held to account."""

from __future__ import annotations

import concurrent.futures
import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import boto3
import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli import ingesting
from cli.alert_rendering import print_notification
from cli.console import out
from cli.ingesting import Ingesting, KafkaBroker
from cli.options import DEMO_MANIFEST, DEMO_SUMMARY
from cli.verbs.audit import print_audit
from cli.verbs.deploy import deploy_stacks
from cli.verbs.etl import bar as etl_bar
from cli.verbs.query import print_frame
from cli.verbs.score import print_score
from evaluation import scoring
from evaluation.audit import Audit, audit
from evaluation.matching import told
from evaluation.raw_lines import count_raw_lines
from evaluation.scoring import Score
from local import emulator, endpoint
from local.kafka import instance as kafka
from pipeline import athena, deployment, etl, registry, stream, truth
from pipeline.deployment import Deployment
from pipeline.inbox import Inbox, Received, open_inbox
from pipeline.names import Ingest
from simulator.faults.truth import InjectedFault, encode_injected_faults, truth_path
from simulator.run import simulation
from simulator.run.manifest import Manifest, encode_manifest
from simulator.scenario.scenario import load

TRUTH = truth_path(DEMO_MANIFEST)

#: The registry of the scenario's devices.
REGISTRY = emulator.ROOT / "registry" / "devices.csv"

STAGE = "dev"

#: What is simulated, and how many times as fast as it would really happen.
SCENARIO, SPEED = "demo", 60.0

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
        SELECT device_id, model, received, lost, duplicates, completeness, battery_last
        FROM device_health ORDER BY completeness, device_id LIMIT 5""",
    "Quarantine by reason": """
        SELECT reason, count(*) AS lines FROM quarantine GROUP BY reason ORDER BY lines DESC, reason""",
}

_TRANSITIONS = """
    SELECT change, count(*) AS n FROM (SELECT DISTINCT alert_id, sequence, change FROM alerts)
    GROUP BY change ORDER BY change"""

_EXAMPLE = "SELECT * FROM readings_hourly LIMIT 5"


class Summary(msgspec.Struct):
    """Contents of ``build/demo/summary.json``.

    ``transitions`` are the alerts table's by change, ``alert_latency_ms`` goes from when the reading that made an alert
    fire was sent to its notification in the inbox, its group's wait included, ``alert_latencies_ms`` has each alert's,
    in ascending order, and ``seconds`` are by phase.
    """

    sent: int
    raw: int
    curated: int
    duplicates: int
    quarantined: int
    lost: int
    faults: int = msgspec.field(name="incidents")
    alerts: int
    notifications: int
    precision: float
    recall: float
    notifications_per_fault: float = msgspec.field(name="notifications_an_incident")
    alert_latency_ms: Latency
    alert_latencies_ms: list[float]
    transitions: dict[str, int]
    seconds: dict[str, float]


class Latency(msgspec.Struct):
    """Milliseconds, by nearest rank; None where nothing was told."""

    p50: float | None
    p95: float | None
    max: float | None


class Ran(NamedTuple):
    """A run: what was sent, what was injected, what was told."""

    manifest: Manifest
    faults: list[InjectedFault]
    received: list[Received]


def demo(
    *,
    ingest: Ingesting = None,
    broker: KafkaBroker = "",
    started_at: Annotated[float | None, typer.Option(hidden=True, help="When make started, Unix time.")] = None,
) -> None:
    """Run the whole pipeline on this machine, and check that it loses no reading.

    Starts from an empty local AWS: the data of an earlier one is deleted.
    """
    ingesting.check(ingest, broker)
    beside = kafka.running()
    chosen = ingest or ("msk" if beside else "kinesis")
    if beside and not beside.own:
        broker = broker or beside.bootstrap
    raise typer.Exit(0 if run(out, ingest=chosen, broker=broker, started_at=started_at) else 1)


def run(
    console: Console,
    *,
    ingest: Ingest = "kinesis",
    broker: str = "",
    started_at: float | None = None,
    home: Path = emulator.HOME,
) -> bool:
    """Run the demo; whether everything added up. ``started_at`` (Unix time) is when its set-up began.

    Starts from an empty local AWS, the one of ``home``, and leaves it up; interrupted, it leaves no process.
    """
    began = started_at or time.time()
    seconds = {"setup": time.time() - began}
    DEMO_SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    try:
        instance = emulator.start(home=home)
        emulator.reset(home)
        session = endpoint.enter(instance.endpoint)
        console.print(f"[bold]Local AWS[/] at {instance.endpoint}")
        kafka.stop(home)
        if ingest == "msk":
            topic = kafka.start(instance.endpoint, broker, home)
            console.print(f"[bold]Kafka[/] at {topic.bootstrap}")
        with _timed(seconds, "deploy"):
            deploy_stacks(session, STAGE, console, home=home)
        deployed = deployment.find(session, STAGE)
        registry.apply(session, deployed, REGISTRY.read_bytes())
        with _timed(seconds, "simulate"):
            ran = _simulate_and_listen(session, deployed, console)
        with _timed(seconds, "etl"), etl_bar(console) as follow:
            etl.run_job(session, deployed, {}, on_progress=follow)
        for title, sql in _QUERIES.items():
            print_frame(athena.query(session, deployed, sql), title=title, console=console)
        result = audit(session, deployed, ran.manifest)
        transitions = _transitions(session, deployed)
    except KeyboardInterrupt:
        kafka.stop(home)
        emulator.stop(home)
        raise
    seconds["total"] = time.time() - began
    score = _score(ran)
    summary = _summary(result, score, ran, transitions, seconds)
    DEMO_SUMMARY.write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    print_audit(result, console)
    print_score(score, "Score", console)
    _print_summary(summary, console)
    _print_next_steps(instance.endpoint, deployed, console)
    if ran.manifest.refused:
        console.print(f"[bold red]{ran.manifest.refused:,} lines could not be sent[/]: {ran.manifest.refusal}")
    return result.adds_up and score.good and not ran.manifest.refused


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    seconds[phase] = time.monotonic() - start


def _simulate_and_listen(session: boto3.Session, deployed: Deployment, console: Console) -> Ran:
    """Run the scenario and show alerts as they arrive, until all that was sent is in the raw zone."""
    scenario = load(SCENARIO)
    planned = simulation.plan(scenario, length=scenario.duration, speed=SPEED)
    console.print(
        f"[bold]Simulating[/] {scenario.size} devices behind {sum(site.gateways for site in scenario.sites)} gateways: "
        f"{scenario.length} of the scenario {scenario.name!r}, {SPEED:g} times as fast"
    )
    stop = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.completed:,} lines"))
    received: list[Received] = []
    faults: list[InjectedFault] = []
    with (
        open_inbox(session, deployed.alerts_topic_arn) as inbox,
        stream.destination(deployed).open() as sink,
        Progress(*columns, TimeElapsedColumn(), console=console) as progress,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        task = progress.add_task("sending", total=None)
        running = pool.submit(
            simulation.simulate,
            planned,
            sink,
            stopped=stop.is_set,
            on_progress=lambda counts: progress.update(task, completed=counts.sent),
            on_injected=faults.append,
        )
        try:
            while not running.done():
                received += _show_new(inbox, progress.console)
            manifest = running.result()
            DEMO_MANIFEST.write_bytes(encode_manifest(manifest))
            TRUTH.write_bytes(encode_injected_faults(faults))
            truth.put(session, deployed, manifest.scenario, manifest.started_at, faults)
            in_raw_zone = functools.partial(_is_in_raw_zone, session, deployed.raw_bucket_name, manifest)
            deadline = time.monotonic() + _SETTLE_SECONDS
            while time.monotonic() < deadline and not (_all_over(Ran(manifest, faults, received)) and in_raw_zone()):
                received += _show_new(inbox, progress.console)
        finally:
            stop.set()
    return Ran(manifest, faults, received)


def _score(ran: Ran) -> Score:
    clock = scoring.wall_clock(ran.manifest)
    return scoring.score(ran.faults, ran.received, ran.manifest.ended_at, clock=clock)


def _all_over(ran: Ran) -> bool:
    """Return whether every expected alert was told, and its end."""
    return _score(ran).total.recall == 1 and all(alert.resolved_at for alert in told(ran.received))


def _show_new(inbox: Inbox, console: Console) -> list[Received]:
    arrived = inbox.receive(wait_seconds=1)
    for notification in arrived:
        print_notification(notification, console=console)
    return arrived


def _is_in_raw_zone(session: boto3.Session, bucket: str, manifest: Manifest) -> bool:
    return count_raw_lines(session, bucket, manifest) >= manifest.sent


def _transitions(session: boto3.Session, deployed: Deployment) -> dict[str, int]:
    """Return how many transitions of each kind the alerts table has, each once."""
    frame = athena.query(session, deployed, _TRANSITIONS)
    return {str(change): int(count) for change, count in zip(frame["change"], frame["n"], strict=True)}


def _summary(result: Audit, score: Score, ran: Ran, transitions: dict[str, int], seconds: dict[str, float]) -> Summary:
    totals = result.totals
    latencies = _latencies(ran)
    return Summary(
        sent=totals.sent,
        raw=totals.raw,
        curated=totals.curated,
        duplicates=totals.duplicates,
        quarantined=totals.quarantined,
        lost=result.lost,
        faults=score.faults,
        alerts=score.alerts,
        notifications=score.messages,
        precision=score.total.precision,
        recall=score.total.recall,
        notifications_per_fault=score.total.per_fault,
        alert_latency_ms=_latency(latencies),
        alert_latencies_ms=latencies,
        transitions=transitions,
        seconds={name: round(value, 1) for name, value in seconds.items()},
    )


def _latencies(ran: Ran) -> list[float]:
    """From when the reading with which an alert fired was sent to the notification, in ascending order."""
    clock = scoring.wall_clock(ran.manifest)
    return sorted(
        round((alert.told_at - sent).total_seconds() * 1000, 1)
        for alert in told(ran.received)
        if (sent := clock(alert.fired_at))
    )


def _latency(ordered: list[float]) -> Latency:
    if not ordered:
        return Latency(None, None, None)
    return Latency(*(scoring.nearest_rank(ordered, q) for q in (0.5, 0.95, 1)))


def _print_summary(summary: Summary, console: Console) -> None:
    latency = summary.alert_latency_ms
    console.print(
        "from reading to inbox, the group_wait included: "
        + ", ".join(f"{name} {value:.0f}" for name, value in msgspec.to_builtins(latency).items() if value is not None)
        + " ms"
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
  dashboard   .venv/bin/iot dashboard
  summary     {DEMO_SUMMARY}
  commands    .venv/bin/iot --help"""
    )
