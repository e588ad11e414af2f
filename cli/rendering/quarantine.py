"""How lines in quarantine look to a person."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.rendering.console import err, out
from telemetry.text.errors import place_of

if TYPE_CHECKING:
    from pipeline.quarantine import Quarantined, Refused

#: How many characters of an id are shown where there is little room: 32 bits tell most lines apart.
_SHORT_ID = 8

#: Where in a line the decoder says the mistake is: the byte, or the path of the value.
_BYTE = re.compile(r"\(byte (\d+)\)")
_PATH = re.compile(r"at `\$\.([^`.\[]+)")
#: A byte that is not UTF-8, as the table has it.
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}")


def print_lines(found: Sequence[Quarantined], *, console: Console = out) -> None:
    """Lines in quarantine, each cut to one line of the terminal."""
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
    """How many lines there are of each reason, and whether all of them are listed."""
    every = sum(counts.values())
    by_reason = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    console.print(
        f"in quarantine: {every:,} lines ({by_reason})" if every else "there is no such line in quarantine", style="dim"
    )
    if listed < every:
        console.print(f"listed are the newest {listed:,}; --limit {every} lists all", style="yellow")


def print_line(line: Quarantined, bucket: str, command: str, *, console: Console = out) -> None:
    """Everything that is known of a line, and the line itself with a caret where its mistake is, if that is known."""
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
    """Lines that are not replayed, and why."""
    for one in refused:
        console.print(f"{one.name}: {one.reason}: {one.detail}", markup=False, soft_wrap=True)


def printable(text: str) -> str:
    """The text with what a terminal would not show, or take for an order, as Python writes it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def mistake(line: Quarantined) -> int | None:
    """Where in a line its mistake is, in characters; None if nothing says so."""
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
    """The shell command that prints the line as it came, from AWS or from the local ``endpoint``.

    Of an object of which no line can be read, the one that copies it here.
    """
    if endpoint:
        fetch = f"curl -s {shlex.quote(f'{endpoint}/{bucket}/{quote(line.raw_object)}')}"
        return f"{fetch} | gzip -dcf | sed -n {line.raw_line}p" if line.raw_line else f"{fetch} -O"
    address = shlex.quote(f"s3://{bucket}/{line.raw_object}")
    if not line.raw_line:
        return f"aws s3 cp {address} ."
    return f"aws s3 cp {address} - | gzip -dcf | sed -n {line.raw_line}p"
