"""``iot plan``: what the pipeline needs and costs for a fleet, before there is one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from cli import console
from cli.console import out
from cli.options import Json, duration
from pipeline.names import Ingest
from planning import plan as planning
from planning import prices
from planning.plan import Plan
from planning.traffic import Fleet
from planning.variants import MSK, OURS, Variant
from simulator.sinks.record import MAX_RECORD_BYTES
from telemetry.text.durations import format_duration

Rows = tuple[tuple[str, str], ...]

#: A billion: as many as any fleet has, and more than the formulas were thought of for.
_MOST = 1_000_000_000


def plan(
    *,
    devices: Annotated[int, typer.Option(min=1, max=_MOST, help="Number of devices.")] = 1_000,
    interval: Annotated[str, typer.Option(metavar="DURATION", help="How often each of them reports.")] = "10s",
    size: Annotated[
        int, typer.Option("--bytes", min=1, max=MAX_RECORD_BYTES, help="A reading's bytes, as a line of JSON.")
    ] = 180,
    retention: Annotated[str, typer.Option(metavar="DURATION", help="How long readings are kept.")] = "365d",
    devices_per_gateway: Annotated[int, typer.Option(min=1, max=_MOST, help="Devices per gateway.")] = 100,
    collect: Annotated[
        str, typer.Option(metavar="DURATION", help="How long a gateway collects for a record; alerts wait for it.")
    ] = "1s",
    alerts_per_day: Annotated[
        float | None, typer.Option(min=0, help="Alerts that fire per day. By default, one for 100 devices.")
    ] = None,
    ingest: Annotated[Ingest, typer.Option(help="The stream to size and to list line by line.")] = "kinesis",
    as_json: Json = False,
) -> None:
    """Show what the pipeline needs and costs for a fleet. Works offline.

    iot plan --devices 100000 --interval 10s --bytes 180 --retention 365d

    iot plan --devices 5000 --interval 1m --devices-per-gateway 20

    iot plan --devices 1000000 --ingest msk

    iot plan --devices 100000 --collect 5s --json | jq .usd

    The totals are for both streams, Kinesis and Amazon MSK, and for devices
    that send one reading per record. Prices are list prices of us-east-1 in
    USD a month of 30 days, without the free tier; the other assumptions are
    printed below the tables. docs/plan.md has the formulas and the source of
    each price.
    """
    fleet = Fleet(
        devices=devices,
        interval=duration("--interval", interval),
        reading_bytes=size,
        retention=duration("--retention", retention),
        devices_per_gateway=devices_per_gateway,
        collect=duration("--collect", collect),
        alerts_per_day=alerts_per_day,
    )
    found = planning.plan(fleet, ingest)
    if as_json:
        console.print_json(plan_json(found))
    else:
        print_plan(found)


_MODES = {"provisioned": "provisioned", "on_demand": "on demand"}
#: What the variants are called on the screen. ``--json`` keeps "ours", which programs read.
_NAMES = {OURS: "Kinesis"}
_ENGINES = {"pythonshell": "Python shell, one DPU", "spark": "Spark, up to ten workers"}

#: Columns, if there are as many.
_WIDTH = 100

#: Less than this is shown as less.
_CENT = 0.005


def print_plan(found: Plan, console: Console = out) -> None:
    """Print the whole plan; no line is longer than a hundred columns."""
    console.print(_headline(found.fleet), soft_wrap=True)
    width = min(console.width, _WIDTH)
    on_msk = found.ingest == "msk"
    tables = [_kafka_needs(found)] if on_msk else [_needs(found), _streams(found)]
    for table in (*tables, _variants(found), _items(found.variant(MSK if on_msk else OURS))):
        console.print(table, width=width)
    for title, lines in (("Assumed", found.assumptions), ("To know", found.notes)):
        console.print(f"[bold]{title}[/]")
        for line in lines:
            console.print(_point(line), width=width)


def plan_json(found: Plan) -> dict[str, Any]:
    """Return the plan for a program: the totals first, then their parts."""
    fleet = found.fleet
    rest = msgspec.to_builtins(found)
    return {
        "devices": fleet.devices,
        "usd": {variant.name: variant.usd_per_month for variant in found.variants},
        "fleet": {
            "devices": fleet.devices,
            "interval_seconds": fleet.interval.total_seconds(),
            "reading_bytes": fleet.reading_bytes,
            "retention_days": fleet.retention.days,
            "devices_per_gateway": fleet.devices_per_gateway,
            "collect_seconds": fleet.collect.total_seconds(),
            "alerts_per_day": fleet.alerts,
            "queries_per_day": fleet.queries_per_day,
        },
        "ingest": found.ingest,
        "prices": {"region": "us-east-1", "looked_up": prices.READ},
        **{
            name: rest[name]
            for name in ("needs", "kafka", "recommended", "streams", "variants", "assumptions", "notes")
        },
    }


def _headline(fleet: Fleet) -> str:
    return (
        f"[bold]{fleet.devices:,} devices[/], a reading of {fleet.reading_bytes:,} bytes every "
        f"{format_duration(fleet.interval)}, kept for {format_duration(fleet.retention)}"
    )


def _needs(found: Plan) -> Table:
    needs = found.needs
    calls = needs.detector_invocations, needs.detector_milliseconds, needs.detector_concurrency
    return _capacity(found, (("shards", f"{needs.shards:,}"),), *calls)


def _kafka_needs(found: Plan) -> Table:
    kafka, cluster = found.kafka, found.kafka.cluster
    units = "unit" if cluster.poller_units == 1 else "units"
    rows = (
        ("brokers", f"{cluster.brokers:,} {cluster.broker_type} in three zones"),
        ("partitions", f"{cluster.partitions:,}"),
        ("pollers", f"{cluster.pollers:,}, in {cluster.poller_units:,} billed {units}"),
    )
    calls = kafka.detector_invocations, kafka.detector_milliseconds, kafka.detector_concurrency
    return _capacity(found, rows, *calls)


def _capacity(
    found: Plan, stream: Rows, invocations: float, milliseconds: float, concurrency: tuple[float, int]
) -> Table:
    needs, (busy, most) = found.needs, concurrency
    table = Table(title="What it needs", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    records = f"{needs.records:,.1f}/s of {needs.readings_per_record:,.1f} readings"
    calls = f"{invocations:,.1f} calls/s of {milliseconds:,.0f} ms"
    rows = (
        ("readings", f"{needs.readings:,.1f}/s, {decimal(round(needs.bytes))}/s"),
        ("records", f"{records}, from {needs.gateways:,} gateways"),
        *stream,
        ("detector", f"{calls}: {busy:,.2f} at once in the mean, {most:,} at most"),
        ("curation", f"{_ENGINES[needs.engine]}: {needs.curation_seconds:,.0f} s each hour"),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _streams(found: Plan) -> Table:
    table = _table("The stream, in USD a month", "mode", "made of", "USD")
    for choice in found.streams:
        made = ", ".join(f"{line.what} {_usd(line.usd_per_month)}" for line in choice.items)
        style, mark = ("green", "  recommended") if choice.mode == found.recommended else ("", "")
        table.add_row(_MODES[choice.mode] + mark, made, _usd(choice.usd_per_month), style=style)
    return table


def _variants(found: Plan) -> Table:
    bills = [variant.by_service() for variant in found.variants]
    table = _table("USD a month", "service", *(_NAMES.get(variant.name, variant.name) for variant in found.variants))
    for service in dict.fromkeys(service for bill in bills for service in bill):
        table.add_row(service, *(_usd(bill[service]) if service in bill else "-" for bill in bills))
    table.add_section()
    table.add_row("all", *(_usd(variant.usd_per_month) for variant in found.variants), style="bold")
    first = found.variants[0].usd_per_month
    times = f"times {_NAMES[OURS]}"
    table.add_row(times, *(f"{variant.usd_per_month / first:.1f}" for variant in found.variants), style="dim")
    return table


def _items(variant: Variant) -> Table:
    table = _table(
        f"{_NAMES.get(variant.name, variant.name)}, line by line", "service", "what", "a month", "unit", "USD"
    )
    for line in variant.items:
        table.add_row(line.service, line.what, _quantity(line.quantity), line.unit, _usd(line.usd_per_month))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    words = ("service", "mode", "what", "made of", "unit")
    for column in columns:
        is_text = column in words
        table.add_column(column, justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text)
    return table


def _point(line: str) -> Table:
    """Return a line with a bullet, folded beside it."""
    grid = Table.grid(padding=(0, 1))
    grid.add_row("•", line)
    return grid


def _usd(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= _CENT or not amount else "< 0.01"


def _quantity(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:,.1f}"
