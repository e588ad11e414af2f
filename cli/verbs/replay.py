"""``iot replay``: a data set's columns to readings, and those to a sink."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli import sending
from cli.options import parse_moment
from cli.replay_preview import findings, show, untimely
from cli.sending import OUTPUT_PANEL, TIME_PANEL
from simulator.replay.columns import TARGETS, Wanted
from simulator.replay.dataset import Dataset, open_dataset
from simulator.replay.files import WHITESPACE, Format, Source
from simulator.replay.send import ReplayPlan, plan
from simulator.replay.send import replay as send
from simulator.run import simulation
from simulator.run.manifest import encode_manifest
from simulator.sinks.destination import Destination
from simulator.sinks.raw_zone import RawZone

_FILES_PANEL, _MAPPING_PANEL = "Files", "Mapping"

_Files = Annotated[
    list[str],
    typer.Argument(help="CSV, Parquet or JSON (a list, or one object a line), .gz too; patterns in quotes."),
]
_Mapping = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN",
        help=f"Where a field comes from: a column, or SQL over the columns. Fields: {', '.join(TARGETS)}. "
        "Several times; what is left out is guessed by the columns' names.",
        rich_help_panel=_MAPPING_PANEL,
    ),
]
_Timezone = Annotated[
    str, typer.Option(help="Of times that do not say it, such as Europe/Berlin.", rich_help_panel=_MAPPING_PANEL)
]
_TimeFormat = Annotated[
    str,
    typer.Option(
        help="Of times that are neither ISO 8601 nor Unix time, such as '%d/%m/%Y %H:%M'.",
        rich_help_panel=_MAPPING_PANEL,
    ),
]
_Nothing = Annotated[
    list[str] | None,
    typer.Option(
        "--null",
        metavar="TEXT",
        help="Means that nothing was measured, as NA does: -200.",
        rich_help_panel=_MAPPING_PANEL,
    ),
]
_Where = Annotated[
    str, typer.Option(metavar="SQL", help="Take only the rows for which this is true.", rich_help_panel=_MAPPING_PANEL)
]
_DevicesPerGateway = Annotated[
    int | None,
    typer.Option(min=1, help="Without a gateway in the data: one a site by default.", rich_help_panel=_MAPPING_PANEL),
]
_DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Show what would be sent, and what is wrong; send nothing.", rich_help_panel=OUTPUT_PANEL
    ),
]
_FileFormat = Annotated[
    Format | None, typer.Option("--format", help="By the names by default.", rich_help_panel=_FILES_PANEL)
]
_Columns = Annotated[
    str,
    typer.Option(metavar="NAMES", help="csv: the columns of a file without a header.", rich_help_panel=_FILES_PANEL),
]
_Delimiter = Annotated[
    str,
    typer.Option(
        help=f"csv: what is between the values; found out by default. {WHITESPACE}: any number of blanks.",
        rich_help_panel=_FILES_PANEL,
    ),
]
_Encoding = Annotated[str, typer.Option(help="csv: utf-8, latin-1 or utf-16.", rich_help_panel=_FILES_PANEL)]
_Start = Annotated[
    dt.datetime | None,
    typer.Option(
        parser=parse_moment,
        metavar="TIME",
        help="The time of the first reading; so that the last one is now, by default.",
        rich_help_panel=TIME_PANEL,
    ),
]
_NoShift = Annotated[
    bool, typer.Option("--no-shift", help="Keep the times that the data has.", rich_help_panel=TIME_PANEL)
]
_Speed = Annotated[float, typer.Option(min=0.001, help="The data's seconds a second.", rich_help_panel=TIME_PANEL)]
_Manifest = Annotated[
    Path | None,
    typer.Option(dir_okay=False, help="Write here, as JSON, what was sent.", rich_help_panel=OUTPUT_PANEL),
]


def replay(
    context: typer.Context,
    files: _Files,
    *,
    mapping: _Mapping = None,
    timezone: _Timezone = "UTC",
    time_format: _TimeFormat = "",
    nothing: _Nothing = None,
    where: _Where = "",
    devices_per_gateway: _DevicesPerGateway = None,
    dry_run: _DryRun = False,
    file_format: _FileFormat = None,
    columns: _Columns = "",
    delimiter: _Delimiter = "",
    encoding: _Encoding = "utf-8",
    start: _Start = None,
    no_shift: _NoShift = False,
    speed: _Speed = 1.0,
    no_pace: sending.NoPace = False,
    sink: sending.Sink = "stdout",
    msk_iam: sending.MskIam = False,
    kafka_property: sending.KafkaProperty = None,
    batch: sending.Batch = simulation.DEFAULT_BATCH,
    manifest: _Manifest = None,
    registry: sending.RegistryFile = None,
) -> None:
    """Replay a data set as if its devices reported now.

    What would be sent, and what is wrong with it:

      iot replay sensors.csv --dry-run

    The 54 motes of the Intel lab in Berkeley, a day in 24 minutes. The file
    has blanks between its values, and no header:

      iot replay data.txt.gz --delimiter " " --speed 60 --sink kinesis
      --columns "date time epoch moteid temperature humidity light voltage"
      --map "device='mote-' || moteid" --where "date = '2004-03-01'"

    A table of ts,device,co,humidity,light,lpg,motion,smoke,temp, in °F:

      iot replay iot_telemetry_data.csv --no-pace --sink kinesis
      --map "temperature=(temp - 32) * 5 / 9"

    Local times in two columns, and the same site for all:

      iot replay 'hall/*.parquet' --map "time=day || ' ' || clock"
      --timezone Europe/Berlin --map "site='hall-2'"

    What is not mapped is guessed by the columns' names, or else: one device,
    named after its file, at the site "replay"; readings are counted for their
    seq, and the status is ok.
    """
    with sending.one_line_errors("replay"):
        if no_pace and speed != 1:
            raise ValueError("--speed and --no-pace both say how fast; give one of them")
        to = sending.read_sink(sink, msk_iam=msk_iam, kafka_property=kafka_property)
        if not dry_run:
            to = sending.destination(context, to)
        sending.check_folders({"--manifest": manifest, "--registry": registry})
        source = Source(
            files=tuple(files), format=file_format, columns=_names(columns), delimiter=delimiter.replace("\\t", "\t"),
            encoding=encoding,
        )  # fmt: skip
        wanted = Wanted(
            fields=_fields(mapping or []), timezone=timezone, time_format=time_format, nothing=tuple(nothing or ()),
            where=where,
        )  # fmt: skip
        reading = Console(stderr=True).status(f"reading {source.name}")
        reading.start()
        try:
            opened = open_dataset(source, wanted, devices_per_gateway=devices_per_gateway)
            with opened as dataset:
                reading.stop()
                planned = plan(dataset, start=start, shift=not no_shift, speed=0.0 if no_pace else speed, batch=batch)
                if registry:
                    registry.write_text(dataset.registry_csv())
                if dry_run:
                    show(dataset, planned, devices_per_gateway)
                else:
                    _send(dataset, planned, to, manifest)
        finally:
            reading.stop()


def _names(columns: str) -> tuple[str, ...]:
    return tuple(columns.replace(",", " ").split())


def _assignment(text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    field, value = field.strip().lower(), value.strip()
    if field not in TARGETS or not equals or not value:
        raise ValueError(
            f"--map {text}: that maps nothing; write FIELD=COLUMN or FIELD=SQL, FIELD being one of {', '.join(TARGETS)}"
        )
    return field, value


def _fields(mapping: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for field, value in map(_assignment, mapping):
        if field in found:
            raise ValueError(f"--map {field}=… is there twice; leave one out")
        found[field] = value
    return found


def _send(dataset: Dataset, planned: ReplayPlan, to: Destination, manifest: Path | None) -> None:
    for words in [*findings(dataset), *([] if isinstance(to, RawZone) else untimely(planned))]:
        sending.say("replay", words)
    began = time.monotonic()
    with (
        sending.stop_signals() as caught,
        sending.progress("replaying", planned.since, planned.until, to) as on_progress,
        to.open() as sink,
    ):
        sent = send(
            dataset,
            planned,
            sink,
            stopped=lambda: bool(caught),
            on_progress=on_progress,
            outbox_bytes=to.outbox_bytes,
        )
    sent = sending.with_arrival(sent, to)
    if manifest:
        manifest.write_bytes(encode_manifest(sent))
    sending.report("replay", sent, time.monotonic() - began, "that the contract refuses;")
    sending.end(caught, sent)
