"""The ``simulate`` command: options to a plan, progress and counts to the terminal."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from simulator.faults.truth import Incident, encode_incidents, truth_path
from simulator.fleet.registry import registry_csv
from simulator.models.lengths import seconds
from simulator.run import simulation
from simulator.run.manifest import Manifest, encode_manifest
from simulator.run.processes import simulate_in_parts
from simulator.run.simulation import Plan
from simulator.run.terminal import check_folders, end, moment, one_line_errors, progress, report, say, stop_signals
from simulator.scenario.scenario import NAMES, Scenario, load
from simulator.sinks import options
from simulator.sinks.choice import SinkChoice, SinkName, open_sink

#: Fills in what the options leave out, such as the deployment's stream.
Resolve = Callable[[SinkChoice], SinkChoice]

#: Puts the ground truth of a run where it can be queried.
ToLake = Callable[[Manifest, list[Incident]], None]

#: The keys of ``context.meta`` where a program that mounts this command may put a :data:`Resolve` of its own, and what
#: takes a run's ground truth to the lake.
RESOLVE = "simulator.resolve"
TO_LAKE = "simulator.to_lake"


def duration(text: str) -> float:
    """Seconds in a duration such as ``30s``, ``5m`` or ``1h30m``."""
    try:
        found = seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not found:
        raise typer.BadParameter(f"{text!r} is no time at all; write one like 500ms, 30s, 5m, 2h or 1d")
    return found


_FLEET, _TIME, _OUT = "The fleet", "Time", "What is written about the run"


def _duration(name: str, words: str, panel: str) -> object:
    return typer.Option(name, parser=duration, metavar="DURATION", help=words, rich_help_panel=panel)


def simulate(
    context: typer.Context,
    *,
    scenario: Annotated[
        str,
        typer.Option(
            help=f"A scenario file, or one of {', '.join(NAMES)}. Without: a calm fleet, for ever.",
            rich_help_panel=_FLEET,
        ),
    ] = "",
    devices: Annotated[
        int | None, typer.Option(min=1, help="How many devices; of the scenario's kinds.", rich_help_panel=_FLEET)
    ] = None,
    gateways: Annotated[
        int | None, typer.Option(min=1, help="How many gateways they are behind.", rich_help_panel=_FLEET)
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="Readings a second of the whole fleet.", rich_help_panel=_FLEET),
    ] = None,
    interval: Annotated[
        float | None, _duration("--interval", "How often each device reports, in place of --rate.", _FLEET)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="The same seed and start give the same lines.", rich_help_panel=_FLEET),
    ] = None,
    length: Annotated[
        float | None, _duration("--duration", "How long to run; the scenario's by default.", _TIME)
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many readings to take, in place of --duration.", rich_help_panel=_TIME),
    ] = None,
    start: Annotated[
        dt.datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="When the simulated time begins; so that it ends now, by default.",
            rich_help_panel=_TIME,
        ),
    ] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="Simulated seconds a second.", rich_help_panel=_TIME)] = 1.0,
    no_pace: Annotated[bool, typer.Option("--no-pace", help="As fast as it goes.", rich_help_panel=_TIME)] = False,
    backfill: Annotated[
        float | None,
        _duration(
            "--backfill", "Put the time until now straight into the raw zone, as if it had been streamed.", _TIME
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="How many processes share the gateways.", rich_help_panel=_TIME)
    ] = 1,
    sink: options.Sink = SinkName.stdout,
    path: options.LinesPath = None,
    stream: options.Stream = "",
    delivery_stream: options.DeliveryStream = "",
    bucket: options.Bucket = "",
    brokers: options.Brokers = "",
    topic: options.Topic = "",
    msk_iam: options.MskIam = False,
    host: options.Host = "",
    port: options.Port = None,
    topic_prefix: options.TopicPrefix = "",
    certificate: options.Certificate = None,
    key: options.Key = None,
    ca: options.CertificateAuthority = None,
    batch: options.Batch = simulation.DEFAULT_BATCH,
    manifest: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Write here, as JSON, what was sent; and beside it, as NAME.truth.jsonl, what was injected.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    truth_to_lake: Annotated[
        bool,
        typer.Option("--truth-to-lake", help="Put what was injected into the lake's table too.", rich_help_panel=_OUT),
    ] = False,
    registry: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write here, as CSV, what devices there are.", rich_help_panel=_OUT),
    ] = None,
) -> None:
    """Simulate a fleet of devices that report through gateways.

    A look at the readings, until Ctrl-C:

      iot simulate --rate 5

    A million of them into a file, as fast as it goes:

      iot simulate --count 1000000 --rate 5000 --no-pace --sink file --path many.jsonl.gz

    Two hours of trouble in two minutes, into the pipeline, and what must come of it:

      iot simulate --scenario cold-chain-break --speed 60 --sink kinesis --manifest run.json --registry devices.csv

    A month that nobody streamed:

      iot simulate --devices 300 --interval 60s --backfill 30d

    Files of your own are YAML: "iot scenarios show calm" prints one to begin with.
    """
    with one_line_errors("simulate", path):
        chosen = _scenario(scenario, devices=devices, gateways=gateways, rate=rate, interval=interval, seed=seed)
        if length is None and count is None and backfill is None and scenario:
            length = chosen.duration
        _check_times(sink, backfill=backfill, start=start, length=length, count=count, speed=speed, no_pace=no_pace)
        choice = SinkChoice(
            name=sink if backfill is None else SinkName.raw_zone, path=path, stream=stream,
            delivery_stream=delivery_stream, bucket=bucket, brokers=brokers, topic=topic, msk_iam=msk_iam, host=host,
            port=port, topic_prefix=topic_prefix, certificate=certificate, key=key, ca=ca,
        )  # fmt: skip
        resolve: Resolve = context.meta.get(RESOLVE, lambda choice: choice)
        choice = resolve(choice).checked()
        to_lake: ToLake | None = context.meta.get(TO_LAKE) if truth_to_lake else lambda *_: None
        if to_lake is None:
            raise ValueError("--truth-to-lake needs a deployment: use 'iot simulate'")
        _check_processes(processes, choice, chosen)
        check_folders({"--manifest": manifest, "--registry": registry})
        unpaced = no_pace or backfill is not None
        planned = simulation.plan(
            chosen, readings=count, length=backfill or length, start=start, speed=0.0 if unpaced else speed, batch=batch
        )
        if registry:
            registry.write_text(registry_csv(chosen), encoding="utf-8")
        began = time.monotonic()
        truth: list[Incident] = []
        with stop_signals() as caught, _truth_file(manifest, truth) as on_incident:
            sent = _run(planned, choice, processes, lambda: bool(caught), on_incident)
        if backfill is not None:
            sent = msgspec.structs.replace(sent, arrived_from=sent.started_at, arrived_to=sent.ended_at)
        if manifest:
            manifest.write_bytes(encode_manifest(sent))
        to_lake(sent, truth)
        incidents = len({incident.id for incident in truth})
        report("simulate", sent, time.monotonic() - began, f"malformed; {incidents:,} incidents,")
        if backfill is not None:
            say("simulate", f"next: iot etl run --from {_hour(sent.started_at)} --to {_hour(sent.ended_at, 1)}")
    end(caught, sent)


def main() -> None:
    """Run ``python -m simulator``."""
    typer.run(simulate)


def _run(
    planned: Plan,
    choice: SinkChoice,
    processes: int,
    stopped: Callable[[], bool],
    on_incident: Callable[[Incident], None],
) -> Manifest:
    terminal = choice.name is SinkName.stdout and sys.stdout.isatty()
    with progress("simulating", planned.since, planned.until, to_terminal=terminal) as on_progress:
        if processes > 1:
            return simulate_in_parts(
                planned, choice, processes, stopped=stopped, on_progress=on_progress, on_incident=on_incident
            )
        with open_sink(choice) as opened:
            return simulation.simulate(
                planned,
                opened,
                stopped=stopped,
                on_progress=on_progress,
                on_incident=on_incident,
                outbox_bytes=choice.outbox_bytes,
            )


def _check_times(
    sink: SinkName,
    *,
    backfill: float | None,
    start: dt.datetime | None,
    length: float | None,
    count: int | None,
    speed: float,
    no_pace: bool,
) -> None:
    """Raise ValueError for options about time that contradict each other."""
    others = (sink is not SinkName.stdout, start, length, count, speed != 1, no_pace)
    if backfill is not None and any(others):
        raise ValueError(
            "--backfill says where to, when, how long and how fast: leave --sink, --start, --duration, --count, "
            "--speed and --no-pace out"
        )
    if no_pace and speed != 1:
        raise ValueError("--speed and --no-pace both say how fast; give one of them")
    if length is not None and count is not None:
        raise ValueError("--duration and --count both say when to end; give one of them")


def _check_processes(processes: int, choice: SinkChoice, chosen: Scenario) -> None:
    if processes > 1 and choice.name is SinkName.stdout:
        raise ValueError("several processes would write into each other's lines: give --sink")
    if processes > sum(site.gateways for site in chosen.sites):
        raise ValueError("there are more processes than gateways; use fewer, or more --gateways")


def _scenario(
    name: str,
    *,
    devices: int | None,
    gateways: int | None,
    rate: float | None,
    interval: float | None,
    seed: int | None,
) -> Scenario:
    """The scenario that is asked for, with what the options say in place of what it says itself."""
    chosen = load(name or "calm")
    if rate is not None and interval is not None:
        raise ValueError("--rate and --interval both say how often devices report; give one of them")
    if devices is not None:
        chosen = chosen.resized(devices)
    if rate is not None:
        interval = chosen.size / rate
    if interval is not None:
        chosen = chosen.reporting_every(interval)
    if gateways is not None:
        chosen = chosen.behind(gateways)
    return chosen if seed is None else msgspec.structs.replace(chosen, seed=seed)


@contextlib.contextmanager
def _truth_file(manifest: Path | None, truth: list[Incident]) -> Iterator[Callable[[Incident], None]]:
    """Takes incidents as they are injected, to the list, and beside the manifest."""
    if manifest is None:
        yield truth.append
        return
    with truth_path(manifest).open("wb", buffering=0) as out:

        def note(incident: Incident) -> None:
            truth.append(incident)
            out.write(encode_incidents([incident]))

        yield note


def _hour(moment: dt.datetime, later: int = 0) -> str:
    return f"{moment + dt.timedelta(hours=later):%Y-%m-%dT%H}:00:00Z"
