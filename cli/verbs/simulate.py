"""``iot simulate``: a fleet of simulated devices that report through gateways."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from cli import sending, target
from cli.options import parse_moment
from cli.sending import OUTPUT_PANEL, TIME_PANEL
from pipeline import truth
from simulator.faults.truth import InjectedFault, encode_injected_faults, truth_path
from simulator.fleet.registry import registry_csv
from simulator.run import simulation
from simulator.run.manifest import Manifest, encode_manifest
from simulator.run.processes import simulate_in_parts
from simulator.run.simulation import Plan
from simulator.scenario.scenario import LONGEST, NAMES, Scenario, load
from simulator.sinks.destination import Destination
from simulator.sinks.lines import StandardOutput
from simulator.sinks.raw_zone import RawZone
from telemetry.text.durations import parse_seconds
from telemetry.text.errors import TextError

_FLEET_PANEL = "Fleet"


def duration(text: str) -> float:
    """Return the seconds in a duration such as ``30s``, ``5m`` or ``1h30m``."""
    try:
        found = parse_seconds(text, LONGEST)
    except TextError as error:
        raise typer.BadParameter(str(error)) from None
    if not found:
        raise typer.BadParameter(f"invalid duration {text!r}: write more than zero")
    return found


def _duration(name: str, words: str, panel: str) -> object:
    return typer.Option(name, parser=duration, metavar="DURATION", help=words, rich_help_panel=panel)


_Scenario = Annotated[
    str,
    typer.Option(
        help=f"A scenario file, or one of {', '.join(NAMES)}. Without: a calm fleet, for ever.",
        rich_help_panel=_FLEET_PANEL,
    ),
]
_Devices = Annotated[
    int | None, typer.Option(min=1, help="How many devices; of the scenario's kinds.", rich_help_panel=_FLEET_PANEL)
]
_Gateways = Annotated[
    int | None, typer.Option(min=1, help="How many gateways they are behind.", rich_help_panel=_FLEET_PANEL)
]
_Rate = Annotated[
    float | None, typer.Option(min=0.001, help="Readings a second of the whole fleet.", rich_help_panel=_FLEET_PANEL)
]
_Interval = Annotated[
    float | None, _duration("--interval", "How often each device reports, in place of --rate.", _FLEET_PANEL)
]
_Seed = Annotated[
    int | None,
    typer.Option(min=0, help="The same seed and start give the same lines.", rich_help_panel=_FLEET_PANEL),
]
_Length = Annotated[float | None, _duration("--duration", "How long to run; the scenario's by default.", TIME_PANEL)]
_Count = Annotated[
    int | None,
    typer.Option(min=1, help="How many readings to take, in place of --duration.", rich_help_panel=TIME_PANEL),
]
_Start = Annotated[
    dt.datetime | None,
    typer.Option(
        parser=parse_moment,
        metavar="TIME",
        help="When the simulated time begins; so that it ends now, by default.",
        rich_help_panel=TIME_PANEL,
    ),
]
_Speed = Annotated[float, typer.Option(min=0.001, help="Simulated seconds a second.", rich_help_panel=TIME_PANEL)]
_Backfill = Annotated[
    float | None,
    _duration("--backfill", "Put the time until now into the raw zone, as if it had been streamed.", TIME_PANEL),
]
_Processes = Annotated[
    int, typer.Option(min=1, help="How many processes share the gateways.", rich_help_panel=TIME_PANEL)
]
_Manifest = Annotated[
    Path | None,
    typer.Option(
        dir_okay=False,
        help="Write here, as JSON, what was sent; and next to it, as NAME.truth.jsonl, what was injected.",
        rich_help_panel=OUTPUT_PANEL,
    ),
]
_TruthToLake = Annotated[
    bool,
    typer.Option(
        "--truth-to-lake", help="Put what was injected into the lake's table too.", rich_help_panel=OUTPUT_PANEL
    ),
]


def simulate(
    context: typer.Context,
    *,
    scenario: _Scenario = "",
    devices: _Devices = None,
    gateways: _Gateways = None,
    rate: _Rate = None,
    interval: _Interval = None,
    seed: _Seed = None,
    length: _Length = None,
    count: _Count = None,
    start: _Start = None,
    speed: _Speed = 1.0,
    no_pace: sending.NoPace = False,
    backfill: _Backfill = None,
    processes: _Processes = 1,
    sink: sending.Sink = "stdout",
    msk_iam: sending.MskIam = False,
    kafka_property: sending.KafkaProperty = None,
    batch: sending.Batch = simulation.DEFAULT_BATCH,
    manifest: _Manifest = None,
    truth_to_lake: _TruthToLake = False,
    registry: sending.RegistryFile = None,
) -> None:
    """Simulate a fleet of devices that report through gateways.

    A look at the readings, until Ctrl-C:

      iot simulate --rate 5

    A million of them into a file, as fast as possible:

      iot simulate --count 1000000 --rate 5000 --no-pace --sink file:many.jsonl.gz

    Two hours of trouble in two minutes, into the pipeline, and what must come of it:

      iot simulate --scenario cold-chain-break --speed 60 --sink kinesis --manifest run.json --registry devices.csv

    A month that nobody streamed:

      iot simulate --devices 300 --interval 60s --backfill 30d

    Files of your own are YAML: "iot scenarios show calm" prints one to begin with.
    """
    with sending.one_line_errors("simulate"):
        chosen = _scenario(scenario, devices=devices, gateways=gateways, rate=rate, interval=interval, seed=seed)
        if length is None and count is None and backfill is None and scenario:
            length = chosen.duration
        _check_times(backfill=backfill, start=start, length=length, count=count, speed=speed, no_pace=no_pace)
        url = sink if backfill is None else _raw_zone(sink)
        to = sending.destination(context, sending.read_sink(url, msk_iam=msk_iam, kafka_property=kafka_property))
        lake = target.deployed(context) if truth_to_lake else None
        _check_processes(processes, to, chosen)
        sending.check_folders({"--manifest": manifest, "--registry": registry})
        unpaced = no_pace or backfill is not None
        planned = simulation.plan(
            chosen, readings=count, length=backfill or length, start=start, speed=0.0 if unpaced else speed, batch=batch
        )
        if registry:
            registry.write_text(registry_csv(chosen), encoding="utf-8")
        began = time.monotonic()
        injected: list[InjectedFault] = []
        with sending.stop_signals() as caught, _truth_file(manifest, injected) as on_injected:
            sent = _run(planned, to, processes, lambda: bool(caught), on_injected)
        sent = sending.with_arrival(sent, to)
        if manifest:
            manifest.write_bytes(encode_manifest(sent))
        if lake:
            truth.put(*lake, sent.scenario, sent.started_at, injected)
        faults = len({fault.id for fault in injected})
        sending.report("simulate", sent, time.monotonic() - began, f"malformed; {faults:,} injected faults,")
        if backfill is not None:
            sending.say("simulate", f"next: iot etl run --from {_hour(sent.started_at)} --to {_hour(sent.ended_at, 1)}")
    sending.end(caught, sent)


def _run(
    planned: Plan,
    to: Destination,
    processes: int,
    stopped: Callable[[], bool],
    on_injected: Callable[[InjectedFault], None],
) -> Manifest:
    with sending.progress("simulating", planned.since, planned.until, to) as on_progress:
        if processes > 1:
            return simulate_in_parts(
                planned, to, processes, stopped=stopped, on_progress=on_progress, on_injected=on_injected
            )
        with to.open() as opened:
            return simulation.simulate(
                planned,
                opened,
                stopped=stopped,
                on_progress=on_progress,
                on_injected=on_injected,
                outbox_bytes=to.outbox_bytes,
            )


def _check_times(
    *,
    backfill: float | None,
    start: dt.datetime | None,
    length: float | None,
    count: int | None,
    speed: float,
    no_pace: bool,
) -> None:
    """Raise ValueError for options about time that contradict each other."""
    if backfill is not None and any((start, length, count, speed != 1, no_pace)):
        raise ValueError(
            "--backfill says when, how long and how fast: leave --start, --duration, --count, --speed and --no-pace out"
        )
    if no_pace and speed != 1:
        raise ValueError("--speed and --no-pace both say how fast; give one of them")
    if length is not None and count is not None:
        raise ValueError("--duration and --count both say when to end; give one of them")


def _raw_zone(sink: str) -> str:
    """Return where ``--backfill`` sends: the raw zone, of which ``--sink`` may name the bucket. Raises ValueError."""
    if sink == "stdout":
        return RawZone.schemes[0]
    if sink.partition(":")[0] not in RawZone.schemes:
        raise ValueError(f"--backfill writes to the raw zone: leave --sink out, or write --sink {RawZone.usage}")
    return sink


def _check_processes(processes: int, to: Destination, chosen: Scenario) -> None:
    if processes > 1 and isinstance(to, StandardOutput):
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
    """Return the scenario that was asked for, with what the options say in place of what it says itself."""
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
def _truth_file(manifest: Path | None, injected: list[InjectedFault]) -> Iterator[Callable[[InjectedFault], None]]:
    """Keep what is injected, as it is: in the list, and next to the manifest."""
    if manifest is None:
        yield injected.append
        return
    with truth_path(manifest).open("wb", buffering=0) as out:

        def note(fault: InjectedFault) -> None:
            injected.append(fault)
            out.write(encode_injected_faults([fault]))

        yield note


def _hour(moment: dt.datetime, later: int = 0) -> str:
    return f"{moment + dt.timedelta(hours=later):%Y-%m-%dT%H}:00:00Z"
