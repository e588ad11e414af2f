"""List and show lines that are not valid readings, and send them again once they are repaired."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import boto3
import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import console, target
from cli.console import err, out
from cli.options import Json, day, read_bytes
from pipeline import quarantine, stream
from pipeline.deployment import Deployment
from pipeline.errors import PipelineError
from pipeline.quarantine import REPLAY_GATEWAY, Offered, Quarantined, QuarantineReason, Refused, Selection
from telemetry.reading.model import MAX_LATENESS
from telemetry.text.errors import place_of

app = typer.Typer(no_args_is_help=True, help=__doc__)

_From = Annotated[str, typer.Option("--from", metavar="DAY", help="First day of arrival, UTC: 2026-11-23.")]
_To = Annotated[str, typer.Option("--to", metavar="DAY", help="Last day.")]


@app.command("list")
def list_lines(
    context: typer.Context,
    reason: Annotated[QuarantineReason | None, typer.Option(help="Only those of this reason.")] = None,
    first: _From = "",
    last: _To = "",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of lines.")] = 100,
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
        print_lines(found)
    print_counts(quarantine.counts(session, deployed, selection) if found else {}, len(found))


@app.command("show")
def show_line(
    context: typer.Context,
    line_id: Annotated[str, typer.Argument(metavar="ID", help="At least the first 4 characters of a line's id.")],
    *,
    as_json: Json = False,
) -> None:
    """Show a line with the place of its error and the command that fetches it as it arrived.

    iot quarantine show 3f2a9c01
    """
    session, deployed = target.deployed(context)
    line = quarantine.by_id(session, deployed, line_id)
    choice: target.Choice = context.obj
    endpoint = "" if choice.aws else session.client("s3").meta.endpoint_url
    command = fetch_command(line, deployed.raw_bucket_name, endpoint)
    if as_json:
        console.print_json(msgspec.to_builtins(line) | {"fetch": command})
    else:
        print_line(line, deployed.raw_bucket_name, command)


_REPLAY_HELP = f"""Put repaired lines back through the stream; exit code 1 if some are still invalid.

FILE (- for standard input) has one on each line: an object of "iot
quarantine list --json" whose "line" is repaired, or the bare line. Each is
decoded before it is sent, as if it arrived now. Those that are still
invalid are listed with the reason and not sent, as are readings older than
{MAX_LATENESS.days} days; the others are.

\b
  iot quarantine list --json --reason wrong_type > lines.jsonl
  iot quarantine replay lines.jsonl --dry-run      # after repairing them
  iot quarantine replay lines.jsonl

\b
  iot quarantine list --json --reason wrong_type \\
    | jq -c '.line |= (fromjson | .temperature |= tonumber | tojson)' \\
    | iot quarantine replay -

With --reason instead, the lines in quarantine that have become valid go
back as they are: what came from the future, or what was refused before the
bounds of a reading were changed.

Replaying twice does no harm: (device_id, seq) is unique in the lake. For the
same reason a conflict, which says something else than the reading that came
first, only becomes another conflict. The quarantine keeps the old line: it
is what arrived.

To the detector all of them come from the gateway "{REPLAY_GATEWAY}", as the lake does
not know their own. Rules apply to them, and an alert that fires is one of
that gateway and lasts until something newer of the device comes from there:
"iot alerts disable" it to suppress notifications. For rules about silence
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
        typer.Option(help="Instead: the lines of this reason that have become valid."),
    ] = None,
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="With --reason: first day of arrival.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="With --reason: last day.")] = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --reason: do not ask.")] = False,
) -> None:
    """Put repaired lines back through the stream."""
    if (file is None) == (not reason) or (file and (first or last)):
        raise PipelineError("name what to replay: a FILE, or else --reason (with --from and --to if you like)")
    session, deployed = target.deployed(context)
    if file:
        sorted_lines = quarantine.sort(_offered(file), dt.datetime.now(dt.UTC))
        print_refused(sorted_lines.refused)
        _send(deployed, sorted_lines.good, dry_run=dry_run)
        raise typer.Exit(1 if sorted_lines.refused else 0)
    good = _still_there(session, deployed, _selection(reason, first, last))
    if good and not dry_run and not yes:
        typer.confirm(f"put {len(good):,} lines back on {stream.describe(deployed)}?", abort=True, err=True)
    _send(deployed, good, dry_run=dry_run)


def _offered(file: Path) -> list[Offered]:
    text = sys.stdin.buffer.read() if file == Path("-") else read_bytes(file, "lines")
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
    """Return the lines in quarantine that have become valid, in the order of arrival."""
    if selection.reason == "conflict":
        raise PipelineError(
            "a conflict is a reading already, and the one with its device_id and seq that came first stays: "
            "to have both, change the seq in 'iot quarantine list --json --reason conflict' and replay that"
        )
    found = quarantine.lines(session, deployed, selection)
    good = quarantine.sort(
        (Offered(line.id, line.line.encode()) for line in reversed(found)), dt.datetime.now(dt.UTC)
    ).good
    console.err.print(f"{len(good):,} of {len(found):,} lines are valid readings now", style="dim")
    return good


def _send(deployed: Deployment, good: list[bytes], *, dry_run: bool) -> None:
    if dry_run or not good:
        console.out.print(f"{len(good):,} lines would be sent" if dry_run else "nothing was sent")
        return
    with console.err.status("sending"), stream.destination(deployed).open() as sink:
        quarantine.send(sink, good)
    console.out.print(
        f"sent {len(good):,} lines as gateway {REPLAY_GATEWAY}; 'iot etl run' has them when they are in the raw zone",
        soft_wrap=True,
    )


def _selection(reason: QuarantineReason | None, first: str, last: str) -> Selection:
    selection = Selection(reason=reason, first=day("--from", first), last=day("--to", last))
    if selection.first and selection.last and selection.first > selection.last:
        raise PipelineError(f"--from {first} lies after --to {last}")
    return selection


#: How many characters of an id are shown where there is little room: 32 bits tell most lines apart.
_SHORT_ID = 8

#: Where in a line the decoder says the mistake is: the byte, or the path of the value.
_BYTE = re.compile(r"\(byte (\d+)\)")
_PATH = re.compile(r"at `\$\.([^`.\[]+)")
#: A byte that is not UTF-8, as the table has it.
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")


def print_lines(found: Sequence[Quarantined], *, console: Console = out) -> None:
    """Print lines in quarantine, each cut to one line of the terminal."""
    table = Table(header_style="bold", box=None, pad_edge=False, expand=True)
    for column in ("id", "reason", "arrived (UTC)"):
        table.add_column(column, no_wrap=True)
    table.add_column("line", no_wrap=True, overflow="ellipsis", ratio=1)
    for line in found:
        table.add_row(
            line.id[:_SHORT_ID], line.reason, f"{line.arrived:%m-%d %H:%M:%S}", escape(printable(line.line)) or "-"
        )
    console.print(table)


def print_counts(counts: Mapping[str, int], listed: int, *, console: Console = err) -> None:
    """Print the number of lines per reason, and whether all of them are listed."""
    every = sum(counts.values())
    by_reason = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    console.print(
        f"in quarantine: {every:,} lines ({by_reason})" if every else "there is no such line in quarantine", style="dim"
    )
    if listed < every:
        console.print(f"listed are the newest {listed:,}; --limit {every} lists all", style="yellow")


def print_line(line: Quarantined, bucket: str, command: str, *, console: Console = out) -> None:
    """Print a line with what is known of it, and a caret where its mistake is, if that is known."""
    offset = "" if line.raw_offset is None else f", after {line.raw_offset:,} bytes"
    facts = {
        "id": line.id,
        "reason": line.reason,
        "detail": line.detail,
        "arrived": f"{line.arrived:%Y-%m-%d %H:%M:%S} UTC",
        "event time": f"{line.ts:%Y-%m-%d %H:%M:%S.%f} UTC" if line.ts else "",
        "object": f"s3://{bucket}/{line.raw_object}",
        "line": f"{line.raw_line}{offset}" if line.raw_line else "the whole object",
        "fetch it": command,
    }
    for name, fact in facts.items():
        if fact:
            console.print(f"{name:<10} {fact}", markup=False, soft_wrap=True)
    if not line.line:
        return
    shown = printable(line.line)
    at = mistake(line)
    excerpt = "" if at is None else place_of(shown, len(printable(line.line[:at]))).shown
    if shown not in excerpt:
        console.print(f"\n  {shown}", markup=False, soft_wrap=True)
    if excerpt:
        console.print(f"\n{excerpt}", markup=False, soft_wrap=True)


def print_refused(refused: Sequence[Refused], *, console: Console = out) -> None:
    """Print lines that are not replayed, and why."""
    for one in refused:
        console.print(f"{one.name}: {one.reason}: {one.detail}", markup=False, soft_wrap=True)


def printable(text: str) -> str:
    """Return the text with what a terminal would not show, or take for an order, as Python writes it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def mistake(line: Quarantined) -> int | None:
    """Return where in a line its mistake is, in characters; None if nothing says so."""
    text = line.line
    if line.reason == "not_utf8":
        escaped = _ESCAPED.search(text)
        return escaped.start() if escaped else None
    if line.detail == "Input data was truncated":
        return len(text)
    if byte := _BYTE.search(line.detail):
        # The decoder counts bytes of the line as it came.
        return len(text.encode()[: int(byte[1])].decode(errors="ignore"))
    if (path := _PATH.search(line.detail)) and (key := re.search(rf'"{re.escape(path[1])}"\s*:\s*', text)):
        return key.end()
    return None


def fetch_command(line: Quarantined, bucket: str, endpoint: str = "") -> str:
    """Return the shell command that prints the line as it came, from AWS or from the local ``endpoint``.

    Of an object of which no line can be read, the one that copies it here.
    """
    if endpoint:
        fetch = f"curl -s {shlex.quote(f'{endpoint}/{bucket}/{quote(line.raw_object)}')}"
        return f"{fetch} | gzip -dcf | sed -n {line.raw_line}p" if line.raw_line else f"{fetch} -O"
    address = shlex.quote(f"s3://{bucket}/{line.raw_object}")
    if not line.raw_line:
        return f"aws s3 cp {address} ."
    return f"aws s3 cp {address} - | gzip -dcf | sed -n {line.raw_line}p"
