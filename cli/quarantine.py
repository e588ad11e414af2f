"""``iot quarantine``: looking at the lines that are no readings, and putting them back once they are repaired."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated

import boto3
import msgspec
import typer

from cli import target
from cli.options import Json
from cli.rendering import console
from cli.rendering import quarantine as show_quarantine
from pipeline import quarantine
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from pipeline.quarantine import REPLAY_GATEWAY, Offered, QuarantineReason, Selection
from simulator.sinks.kinesis import KinesisSink
from telemetry.reading.model import MAX_LATENESS

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Look at the lines that are no readings, and put them back through the stream once they are repaired.",
)

_From = Annotated[str, typer.Option("--from", metavar="DAY", help="First day of arrival, UTC: 2026-11-23.")]
_To = Annotated[str, typer.Option("--to", metavar="DAY", help="Last day.")]


@app.command("list")
def list_lines(
    context: typer.Context,
    reason: Annotated[QuarantineReason | None, typer.Option(help="Only those of this reason.")] = None,
    first: _From = "",
    last: _To = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    *,
    as_json: Json = False,
) -> None:
    """List the lines in quarantine, the newest first, and count them by reason.

    With --json: one object a line, made to be repaired and given to "iot
    quarantine replay". The line itself is the text in "line"; bytes that are
    not UTF-8 stand there as \\xNN. A conflict is of the day of its event time.

      iot quarantine list --reason out_of_bounds --from 2026-11-01

      iot quarantine list --json --reason wrong_type > lines.jsonl
    """
    session, deployed = target.deployed(context)
    selection = _selection(reason, first, last)
    found = quarantine.lines(session, deployed, selection, limit)
    if as_json:
        for line in found:
            sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    elif found:
        show_quarantine.print_lines(found)
    show_quarantine.print_counts(quarantine.counts(session, deployed, selection) if found else {}, len(found))


@app.command("show")
def show_line(
    context: typer.Context,
    line_id: Annotated[str, typer.Argument(metavar="ID", help="At least the first 4 characters of a line's id.")],
    *,
    as_json: Json = False,
) -> None:
    """Show all that is known of a line, where its mistake is, and how to fetch what arrived.

    iot quarantine show 3f2a9c01
    """
    session, deployed = target.deployed(context)
    line = quarantine.by_id(session, deployed, line_id)
    choice: target.Choice = context.obj
    endpoint = "" if choice.aws else session.client("s3").meta.endpoint_url
    command = show_quarantine.fetch_command(line, deployed.raw_bucket_name, endpoint)
    if as_json:
        console.print_json(msgspec.to_builtins(line) | {"fetch": command})
    else:
        show_quarantine.print_line(line, deployed.raw_bucket_name, command)


_REPLAY_HELP = f"""Put repaired lines back through the stream; exit code 1 if some are still no readings.

FILE (- for standard input) has one on each line: an object of "iot
quarantine list --json" whose "line" is repaired, or the bare line. Each is
decoded before it is sent, as if it arrived now. Those that are still no
readings are listed with the reason and not sent, as are readings older than
{MAX_LATENESS.days} days; the others are.

\b
  iot quarantine list --json --reason wrong_type > lines.jsonl
  iot quarantine replay lines.jsonl --dry-run      # after repairing them
  iot quarantine replay lines.jsonl

\b
  iot quarantine list --json --reason wrong_type \\
    | jq -c '.line |= (fromjson | .temperature |= tonumber | tojson)' \\
    | iot quarantine replay -

With --reason instead, the lines in quarantine that are readings by now go
back as they are: what came from the future, or what was refused before the
bounds of a reading were changed.

Replaying twice does no harm: (device_id, seq) is unique in the lake. For the
same reason a conflict, which says something else than the reading that came
first, only becomes another conflict. The quarantine keeps the old line: it
is what arrived.

To the detector all of them come from the gateway "{REPLAY_GATEWAY}", as the lake does
not know their own. Rules apply to them, and an alert that fires is one of
that gateway and lasts until something newer of the device comes from there:
"iot alerts disable" it if nobody should be told. For rules about silence
(no_data), what was replayed falls silent there.
"""


@app.command("replay", help=_REPLAY_HELP)
def replay(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(dir_okay=False, allow_dash=True, help="Repaired lines; - for standard input.")
    ] = None,
    reason: Annotated[
        QuarantineReason | None,
        typer.Option(help="Instead: the lines of this reason that are readings by now."),
    ] = None,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="With --reason: first day of arrival.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="With --reason: last day.")] = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --reason: do not ask.")] = False,
) -> None:
    """Put repaired lines back through the stream."""
    if (file is None) == (not reason) or (file and (first or last)):
        raise PipelineError("say what to replay: a FILE, or else --reason (with --from and --to if you like)")
    session, deployed = target.deployed(context)
    if file:
        sorted_lines = quarantine.sort(_offered(file), dt.datetime.now(dt.UTC))
        show_quarantine.print_refused(sorted_lines.refused)
        _send(session, deployed, sorted_lines.good, dry_run=dry_run)
        raise typer.Exit(1 if sorted_lines.refused else 0)
    good = _still_there(session, deployed, _selection(reason, first, last))
    if good and not dry_run and not yes:
        typer.confirm(f"put {len(good):,} lines back on the stream of {deployed.stream_name}?", abort=True, err=True)
    _send(session, deployed, good, dry_run=dry_run)


def _offered(file: Path) -> list[Offered]:
    try:
        text = sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
    except OSError as error:
        raise PipelineError(f"cannot read the lines in {file}: {error}") from error
    offer = quarantine.offered(text)
    if not offer.lines:
        raise PipelineError(f"there is no line in {file}; 'iot quarantine list --json' prints some to repair")
    if offer.conflicts:
        console.err.print(
            f"{len(offer.conflicts):,} of them are conflicts: they end in quarantine again, "
            "unless their device_id or seq was changed",
            style="yellow",
        )
    return offer.lines


def _still_there(session: boto3.Session, deployed: Deployment, selection: Selection) -> list[bytes]:
    """The lines in quarantine that are readings by now, in the order of arrival."""
    if selection.reason == "conflict":
        raise PipelineError(
            "a conflict is a reading already, and the one with its device_id and seq that came first stays: "
            "to have both, change the seq in 'iot quarantine list --json --reason conflict' and replay that"
        )
    found = quarantine.lines(session, deployed, selection)
    good = quarantine.sort(
        (Offered(line.id, line.line.encode()) for line in reversed(found)), dt.datetime.now(dt.UTC)
    ).good
    console.err.print(f"{len(good):,} of {len(found):,} lines are readings by now", style="dim")
    return good


def _send(session: boto3.Session, deployed: Deployment, good: list[bytes], *, dry_run: bool) -> None:
    if dry_run or not good:
        console.out.print(f"{len(good):,} lines would be sent" if dry_run else "nothing was sent")
        return
    with console.err.status("sending"):
        quarantine.send(KinesisSink(session.client("kinesis"), deployed.stream_name), good)
    console.out.print(
        f"sent {len(good):,} lines as gateway {REPLAY_GATEWAY}; 'iot etl run' has them when they are in the raw zone",
        soft_wrap=True,
    )


def _selection(reason: QuarantineReason | None, first: str, last: str) -> Selection:
    selection = Selection(reason=reason, first=_day("--from", first), last=_day("--to", last))
    if selection.first and selection.last and selection.first > selection.last:
        raise PipelineError(f"--from {first} lies after --to {last}")
    return selection


def _day(option: str, text: str) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError as error:
        raise PipelineError(f"{option} {text}: write a day such as 2026-11-23") from error
