"""The ``replay`` command: a data set's columns to readings, and those to a sink."""

from __future__ import annotations

import datetime as dt
import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from simulator.faults.effects import moment
from simulator.replay.columns import TARGETS, Wanted
from simulator.replay.dataset import DEFAULT_SITE, Dataset, counted, described, open_dataset
from simulator.replay.files import WHITESPACE, Format, Source
from simulator.replay.send import ReplayPlan, first_lines, plan
from simulator.replay.send import replay as send
from simulator.run import simulation
from simulator.run.command import RESOLVE, Resolve
from simulator.run.manifest import encode_manifest
from simulator.run.terminal import check_folders, end, one_line_errors, progress, report, say, stop_signals
from simulator.run.terminal import moment as moment_of
from simulator.sinks import options
from simulator.sinks.choice import SinkChoice, SinkName, open_sink
from telemetry.reading.model import MAX_CLOCK_SKEW, MAX_LATENESS

_FILES, _MAPPING, _TIME, _OUT = "The files", "What the columns are", "Time", "What is written about the replay"

#: Readings that a dry run shows.
_SHOWN = 5


def _assignment(text: str) -> tuple[str, str]:
    field, equals, value = text.partition("=")
    field, value = field.strip().lower(), value.strip()
    if field not in TARGETS or not equals or not value:
        raise ValueError(
            f"--map {text}: that maps nothing; write FIELD=COLUMN or FIELD=SQL, FIELD being one of {', '.join(TARGETS)}"
        )
    return field, value


def replay(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(help="CSV, Parquet or JSON (a list, or one object a line), .gz too; patterns in quotes."),
    ],
    *,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help=f"Where a field comes from: a column, or SQL over the columns. Fields: {', '.join(TARGETS)}. "
            "Several times; what is left out is guessed by the columns' names.",
            rich_help_panel=_MAPPING,
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Of times that do not say it, such as Europe/Berlin.", rich_help_panel=_MAPPING)
    ] = "UTC",
    time_format: Annotated[
        str,
        typer.Option(
            help="Of times that are neither ISO 8601 nor Unix time, such as '%d/%m/%Y %H:%M'.",
            rich_help_panel=_MAPPING,
        ),
    ] = "",
    nothing: Annotated[
        list[str] | None,
        typer.Option(
            "--null",
            metavar="TEXT",
            help="Means that nothing was measured, as NA does: -200.",
            rich_help_panel=_MAPPING,
        ),
    ] = None,
    where: Annotated[
        str, typer.Option(metavar="SQL", help="Take only the rows for which this is true.", rich_help_panel=_MAPPING)
    ] = "",
    devices_per_gateway: Annotated[
        int | None,
        typer.Option(min=1, help="Without a gateway in the data: one a site by default.", rich_help_panel=_MAPPING),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show what would be sent, and what is wrong; send nothing.", rich_help_panel=_OUT
        ),
    ] = False,
    file_format: Annotated[
        Format | None, typer.Option("--format", help="By the names by default.", rich_help_panel=_FILES)
    ] = None,
    columns: Annotated[
        str, typer.Option(metavar="NAMES", help="csv: the columns of a file without a header.", rich_help_panel=_FILES)
    ] = "",
    delimiter: Annotated[
        str,
        typer.Option(
            help=f"csv: what is between the values; found out by default. {WHITESPACE}: any number of blanks.",
            rich_help_panel=_FILES,
        ),
    ] = "",
    encoding: Annotated[str, typer.Option(help="csv: utf-8, latin-1 or utf-16.", rich_help_panel=_FILES)] = "utf-8",
    start: Annotated[
        dt.datetime | None,
        typer.Option(
            parser=moment_of,
            metavar="TIME",
            help="The time of the first reading; so that the last one is now, by default.",
            rich_help_panel=_TIME,
        ),
    ] = None,
    no_shift: Annotated[
        bool, typer.Option("--no-shift", help="Keep the times that the data has.", rich_help_panel=_TIME)
    ] = False,
    speed: Annotated[float, typer.Option(min=0.001, help="The data's seconds a second.", rich_help_panel=_TIME)] = 1.0,
    no_pace: Annotated[bool, typer.Option("--no-pace", help="As fast as it goes.", rich_help_panel=_TIME)] = False,
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
        typer.Option(dir_okay=False, help="Write here, as JSON, what was sent.", rich_help_panel=_OUT),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write here, as CSV, what devices there are.", rich_help_panel=_OUT),
    ] = None,
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
    with one_line_errors("replay", path):
        if no_pace and speed != 1:
            raise ValueError("--speed and --no-pace both say how fast; give one of them")
        choice = SinkChoice(
            name=sink, path=path, stream=stream, delivery_stream=delivery_stream, bucket=bucket, brokers=brokers,
            topic=topic, msk_iam=msk_iam, host=host, port=port, topic_prefix=topic_prefix, certificate=certificate,
            key=key, ca=ca,
        )  # fmt: skip
        if not dry_run:
            resolve: Resolve = context.meta.get(RESOLVE, lambda choice: choice)
            choice = resolve(choice).checked()
        check_folders({"--manifest": manifest, "--registry": registry})
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
                    _show(dataset, planned, devices_per_gateway)
                else:
                    _send(dataset, planned, choice, manifest)
        finally:
            reading.stop()


def _names(columns: str) -> tuple[str, ...]:
    return tuple(columns.replace(",", " ").split())


def _fields(mapping: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for field, value in map(_assignment, mapping):
        if field in found:
            raise ValueError(f"--map {field}=… is there twice; leave one out")
        found[field] = value
    return found


def _send(dataset: Dataset, planned: ReplayPlan, choice: SinkChoice, manifest: Path | None) -> None:
    to_raw_zone = choice.name is SinkName.raw_zone
    for words in [*_findings(dataset), *([] if to_raw_zone else _untimely(planned))]:
        say("replay", words)
    began = time.monotonic()
    to_terminal = choice.name is SinkName.stdout and sys.stdout.isatty()
    with (
        stop_signals() as caught,
        progress("replaying", planned.since, planned.until, to_terminal=to_terminal) as on_progress,
        open_sink(choice) as sink,
    ):
        sent = send(
            dataset,
            planned,
            sink,
            stopped=lambda: bool(caught),
            on_progress=on_progress,
            outbox_bytes=choice.outbox_bytes,
        )
    if to_raw_zone:
        # The raw zone's hours are those of the data.
        sent = msgspec.structs.replace(sent, arrived_from=sent.started_at, arrived_to=sent.ended_at)
    if manifest:
        manifest.write_bytes(encode_manifest(sent))
    report("replay", sent, time.monotonic() - began, "that the contract refuses;")
    end(caught, sent)


def _findings(dataset: Dataset) -> list[str]:
    return [
        *(f"{described(finding)}: left out" for finding in dataset.skipped),
        *(f"{described(finding)}: sent as they are, to be quarantined" for finding in dataset.refused),
        *(described(finding) for finding in dataset.noted),
    ]


def _untimely(planned: ReplayPlan) -> list[str]:
    """What the pipeline will refuse because of when it arrives."""
    now = dt.datetime.now(dt.UTC)
    length = planned.until - planned.since
    ends = now + (length / planned.speed if planned.speed else dt.timedelta())
    warnings = []
    if planned.since < now - MAX_LATENESS:
        warnings.append(
            f"the first readings are of {planned.since:%Y-%m-%d}: those that arrive more than {MAX_LATENESS.days} days "
            "after their time will be quarantined; give --start or --speed, a part with --where, or --sink raw-zone"
        )
    if planned.since > now + MAX_CLOCK_SKEW or planned.until > ends + MAX_CLOCK_SKEW:
        warnings.append(
            f"the readings go up to {planned.until:%Y-%m-%d %H:%M}, and are sent before: those that are more than "
            f"{MAX_CLOCK_SKEW.seconds // 60} minutes early will be quarantined; give an earlier --start"
        )
    return warnings


def _show(dataset: Dataset, planned: ReplayPlan, devices_per_gateway: int | None) -> None:
    """What a replay would do, on standard output."""
    unmapped = {
        "device": "the name of the file",
        "site": repr(DEFAULT_SITE),
        "gateway": f"one for {devices_per_gateway} devices" if devices_per_gateway else "one a site",
        "seq": "counted",
        "status": "ok",
    }
    lines = [f"columns     {', '.join(dataset.columns)}", ""]
    for field in TARGETS:
        value = dataset.values.get(field)
        from_where = value.shown if value else unmapped.get(field, "nothing")
        lines.append(f"{field:<12}{from_where}{'   (guessed)' if value and value.guessed else ''}")
    first, last = moment(dataset.first), moment(dataset.last)
    lines += [
        "",
        (
            f"{counted(dataset.rows, 'row')}: {counted(dataset.readings, 'reading')} of "
            f"{counted(len(dataset.devices), 'device')} behind {counted(len(dataset.gateways), 'gateway')}"
        ),
        f"from {_time(first)} to {_time(last)}, sent as from {_time(planned.since)} to {_time(planned.until)}",
        *_findings(dataset),
        *_untimely(planned),
        "",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(b"".join(first_lines(dataset, planned, _SHOWN)).decode())
    sys.stdout.flush()


def _time(time: dt.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}Z"
