"""A data set as readings: read once from its files, kept on disk, and given out in the order of time.

What cannot be a reading because it has no time or no device is left out and counted; what the contract refuses for
another reason stays, as it is, and is counted too.
"""

# The SQL is made of what the user of the command writes, to be run on the user's own files.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import csv
import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from simulator.replay.columns import Mapped, Value, Wanted, is_number, map_columns
from simulator.replay.files import FILE, DatasetError, Source, first_line, open_files, plain_errors
from telemetry.reading.fields import FIELDS, METRICS
from telemetry.reading.model import MAX_ID_LENGTH
from telemetry.registry.registry import REQUIRED_COLUMNS
from telemetry.text.sql import literal

#: The site of what has none.
DEFAULT_SITE = "replay"

#: What DuckDB may take before it goes to the disk.
_MEMORY = "1GB"

_FIELDS = {field.name: field for field in FIELDS}

#: Of a row that can be sent.
_USABLE = "ts IS NOT NULL AND device IS NOT NULL"

#: The numbers of a reading.
_NUMBERS = ("seq", *METRICS)


class Finding(NamedTuple):
    """A finding about a number of rows, with an example of a value if there is one."""

    words: str
    rows: int
    example: str = ""


class Sender(NamedTuple):
    """A device at a site, behind a gateway; ``device`` and ``gateway`` are places in the lists of the data set."""

    device: int
    site: str
    gateway: int


class Dataset:
    """Readings of files.

    ``rows`` are all that the files have, ``readings`` those that can be sent, from ``first`` to ``last`` (microseconds
    since 1970). ``skipped`` says why others are left out, ``refused`` what the contract will refuse of those that are
    sent, ``noted`` what else is worth knowing. ``devices`` and ``gateways`` are names, ``senders`` who sends.
    ``values`` says what the fields are made of.
    """

    def __init__(self, folder: Path, source: Source, wanted: Wanted, devices_per_gateway: int | None) -> None:
        self.source = source
        self._db = _database(folder, wanted.timezone)
        try:
            table = open_files(self._db, source)
            self.columns = list(table.columns)
            mapped = map_columns(self._db, table, wanted)
            self.values = mapped.values
            with plain_errors(f"cannot read {source.name}"):
                lost = self._stage(_staging(mapped), rejects=table.may_reject)
            self._count(mapped, lost)
            self._find_senders(devices_per_gateway)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the files."""
        self._db.close()

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """All readings in the order of time, so many at once.

        ``sender`` is a place in :attr:`senders`, ``ts`` in microseconds since 1970; the fields that something is mapped
        to follow, numbers as numbers, and as ``NAME_odd`` the texts that are none. ``refused`` is whether the contract
        refuses it, ``copy`` whether it says nothing that an earlier one does not.
        """
        fields = [field for field in (*_NUMBERS, "status") if field in self.values]
        odd = [f"{field}_odd" for field in fields if field in self._odd]
        refused = " OR ".join(f"coalesce({predicate}, false)" for predicate, _ in _refusals(self.values).values())
        copies = "staged.rowid IN (FROM copies)" if "seq" in self.values else "false"
        with plain_errors("cannot sort the readings"):
            reader = self._db.execute(
                f"SELECT sender, {', '.join(['ts', *fields, *odd])}, {refused} AS refused, {copies} AS copy "
                "FROM staged JOIN senders USING (device, site, gateway) WHERE ts IS NOT NULL "
                "ORDER BY ts, staged.rowid"
            ).fetch_record_batch(rows)
            yield from reader

    def registry_csv(self) -> str:
        """Return the devices for ``iot registry apply``: name, last site, and the data set as the model."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(REQUIRED_COLUMNS)
        model = self.source.name.partition(".")[0]
        writer.writerows(
            (device, self._sites[device], model) for device in self.devices if len(device) <= MAX_ID_LENGTH
        )
        return text.getvalue()

    def _stage(self, statement: str, *, rejects: bool) -> int:
        """Read the files; how many of their lines were no rows."""
        if not rejects:
            self._db.execute(statement)
            return 0
        # What was looked at before has been noted, too.
        self._db.execute("DELETE FROM reject_errors")
        self._db.execute(statement)
        return int(self._row("SELECT count(DISTINCT (scan_id, file_id, line)) FROM reject_errors")[0])

    def _count(self, mapped: Mapped, lost: int) -> None:
        """Everything that is said about the rows."""
        skips = {
            "no time": ("ts IS NULL AND time_text IS NULL", "NULL"),
            "a time that cannot be read": ("ts IS NULL AND time_text IS NOT NULL", "time_text"),
            "no device": ("ts IS NOT NULL AND device IS NULL", "NULL"),
        }
        notes = {f"no site, sent as of {DEFAULT_SITE!r}": ("no_site", "NULL")} if "site" in self.values else {}
        self.skipped = self._found("true", skips)
        self.refused = self._found(_USABLE, _refusals(self.values))
        self.noted = self._found(_USABLE, notes)
        self.noted += [
            Finding(f"no number in {name}, which has numbers elsewhere", number)
            for name, number in mapped.unread.items()
        ]
        if lost:
            self.skipped.append(Finding("not in the encoding of the file, or no row at all", lost))
        rows, self.readings, first, last = self._row(
            f"SELECT count(*), count(*) FILTER ({_USABLE}), min(ts) FILTER ({_USABLE}), max(ts) FILTER ({_USABLE}) "
            "FROM staged"
        )
        self.rows = rows + lost
        if not self.readings:
            why = "; ".join(described(each) for each in self.skipped)
            raise DatasetError(f"{self.source.name} has no row that can be a reading{': ' + why if why else ''}")
        self.first, self.last = int(first), int(last)
        numbers = [field for field in _NUMBERS if field in self.values]
        counts = self._row(f"SELECT {', '.join(f'count({field}_odd)' for field in numbers)} FROM staged")
        self._odd = {field for field, count in zip(numbers, counts, strict=True) if count}

    def _found(self, among: str, conditions: Mapping[str, tuple[str, str]]) -> list[Finding]:
        """For which of the rows each condition is true, with an example."""
        if not conditions:
            return []
        asked = ", ".join(
            f"count(*) FILTER ({condition}), min({example}) FILTER ({condition})"
            for condition, example in conditions.values()
        )
        row = self._row(f"SELECT {asked} FROM staged WHERE {among}")
        counts = zip(conditions, row[::2], row[1::2], strict=True)
        return [Finding(words, number, _short(example)) for words, number, example in counts if number]

    def _row(self, statement: str) -> tuple[Any, ...]:
        with plain_errors("cannot count the rows"):
            row = self._db.execute(statement).fetchone()
        assert row  # noqa: S101 - an aggregate has one
        return row

    def _find_senders(self, devices_per_gateway: int | None) -> None:
        with plain_errors("cannot sort the readings"):
            if "seq" in self.values:
                same = ", ".join(["device", "site", "ts", *_staged_fields(self.values)])
                self._db.execute(
                    "CREATE TABLE copies AS SELECT place FROM (SELECT rowid AS place, row_number() OVER "
                    f"(PARTITION BY {same} ORDER BY rowid) AS number FROM staged) WHERE number > 1"
                )
            self._db.execute(
                "CREATE TABLE senders AS SELECT row_number() OVER (ORDER BY device, site, gateway) - 1 AS sender, * "
                "FROM (SELECT device, site, gateway, max(ts) AS latest FROM staged "
                f"WHERE {_USABLE} GROUP BY ALL)"
            )
            rows = self._db.execute("SELECT device, site, gateway, latest FROM senders ORDER BY sender").fetchall()
        self.devices = sorted({device for device, *_ in rows})
        places = {device: place for place, device in enumerate(self.devices)}
        # The devices of each site, and where each device was last.
        at_site: dict[str, dict[str, int]] = {}
        latest: dict[str, tuple[int, str]] = {}
        gateways: dict[str, int] = {}
        self.senders: list[Sender] = []
        for device, site, gateway, when in rows:
            latest[device] = max(latest.get(device, (when, site)), (when, site))
            neighbours = at_site.setdefault(site, {})
            rank = neighbours.setdefault(device, len(neighbours))
            number = rank // devices_per_gateway if devices_per_gateway else 0
            name = _gateway(gateway or f"{site[:MAX_ID_LENGTH]}-gw-{number + 1:02}")
            self.senders.append(Sender(places[device], site, gateways.setdefault(name, len(gateways))))
        self.gateways = list(gateways)
        self._sites = {device: site for device, (_, site) in latest.items()}


@contextlib.contextmanager
def open_dataset(
    source: Source, wanted: Wanted | None = None, *, devices_per_gateway: int | None = None
) -> Iterator[Dataset]:
    """Read a data set; what is kept of it on disk (``TMPDIR``) is gone at the end of the ``with`` block.

    Without a gateway in the data there is one a site, or one for so many devices. Raises
    :class:`~simulator.replay.files.DatasetError` for files that cannot be used, and such as have no readings.
    """
    with tempfile.TemporaryDirectory(prefix="iot-replay-") as folder:
        dataset = Dataset(Path(folder), source, wanted or Wanted(), devices_per_gateway)
        try:
            yield dataset
        finally:
            dataset.close()


def described(finding: Finding) -> str:
    """Return a finding in words, such as ``3 rows: no time``."""
    example = f", such as {finding.example!r}" if finding.example else ""
    return f"{counted(finding.rows, 'row')}: {finding.words}{example}"


def counted(number: int, what: str) -> str:
    """Return a number of things in words, such as ``1 row`` and ``1,000 rows``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _database(folder: Path, timezone: str) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(
        folder / "staged.duckdb",
        config={
            "memory_limit": _MEMORY,
            "temp_directory": str(folder),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    try:
        db.execute(f"SET TimeZone = {literal(timezone)}")
    except duckdb.Error as error:
        db.close()
        raise DatasetError(
            f"--timezone {timezone}: {first_line(error)}; write one like Europe/Berlin, or UTC"
        ) from error
    return db


def _staging(mapped: Mapped) -> str:
    """Return the statement that reads the files into the table ``staged``, row by row in their order."""
    values = mapped.values
    device = _text(values["device"]) if "device" in values else FILE
    columns = [
        f"{device} AS device",
        f"coalesce({_text(values['site'])}, {literal(DEFAULT_SITE)}) AS site"
        if "site" in values
        else f"{literal(DEFAULT_SITE)} AS site",
        f"coalesce({_text(values['gateway'])}, '') AS gateway" if "gateway" in values else "'' AS gateway",
        f"{mapped.time} AS ts",
        f"CASE WHEN {mapped.time} IS NULL THEN CAST({values['time'].sql} AS VARCHAR) END AS time_text",
    ]
    if "site" in values:
        columns.append(f"{_text(values['site'])} IS NULL AS no_site")
    for field in _NUMBERS:
        if field in values:
            number, odd = _whole(values[field]) if field == "seq" else _number(values[field])
            columns += [f"{number} AS {field}", f"{odd} AS {field}_odd"]
    if "status" in values:
        columns.append(f"coalesce(lower({_text(values['status'])}), 'ok') AS status")
    return f"CREATE TABLE staged AS SELECT {', '.join(columns)} FROM {mapped.sql}"


def _text(value: Value) -> str:
    """Return a name as SQL; whole numbers without a fraction, even from a column of floats."""
    text = f"nullif(trim(CAST({value.sql} AS VARCHAR)), '')"
    return f"regexp_replace({text}, '\\.0$', '')" if value.kind in ("DOUBLE", "FLOAT") else text


def _number(value: Value) -> tuple[str, str]:
    """Return SQL for a number, and for the text that is not a number. What is not finite is null."""
    if is_number(value.kind):
        number = f"CAST({value.sql} AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END", "CAST(NULL AS VARCHAR)"
    text = f"nullif(trim(CAST({value.sql} AS VARCHAR)), '')"
    number = f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) THEN {number} END", f"CASE WHEN {number} IS NULL THEN {text} END"


def _whole(value: Value) -> tuple[str, str]:
    """Return SQL for a whole number, and for the text that is not one."""
    text = f"nullif(trim(CAST({value.sql} AS VARCHAR)), '')"
    number = f"TRY_CAST(regexp_extract({text}, '^([+-]?\\d+)(\\.0*)?$', 1) AS BIGINT)"
    return number, f"CASE WHEN {number} IS NULL THEN {text} END"


def _staged_fields(values: Mapping[str, Value]) -> list[str]:
    numbers = [name for field in _NUMBERS if field in values for name in (field, f"{field}_odd")]
    return [*numbers, "status"] if "status" in values else numbers


def _refusals(values: Mapping[str, Value]) -> dict[str, tuple[str, str]]:
    """Return what the contract refuses: words, an SQL condition over ``staged``, and an example."""
    found: dict[str, tuple[str, str]] = {}
    for field in _NUMBERS:
        if field in values:
            low, high = _FIELDS[field].minimum, _FIELDS[field].maximum
            found[f"{field} no {'whole ' if field == 'seq' else ''}number"] = (
                f"{field}_odd IS NOT NULL",
                f"{field}_odd",
            )
            if low is not None:
                found[f"{field} under {low:g}"] = (f"{field} < {low:g}", f"CAST({field} AS VARCHAR)")
            if high is not None and field != "seq":
                found[f"{field} over {high:g}"] = (f"{field} > {high:g}", f"CAST({field} AS VARCHAR)")
    if "seq" in values:
        found["no seq"] = ("seq IS NULL AND seq_odd IS NULL", "NULL")
    if "status" in values:
        choices = _FIELDS["status"].choices
        listed = ", ".join(map(literal, choices))
        found[f"status none of {', '.join(choices)}"] = (f"status NOT IN ({listed})", "status")
    for field in ("device", "site"):
        found[f"{field} of more than {MAX_ID_LENGTH} characters"] = (f"length({field}) > {MAX_ID_LENGTH}", field)
    return found


def _gateway(name: str) -> str:
    """Return a name that every sink can use; MQTT topics cannot have all characters."""
    return re.sub(r"[\s/+#$\x00-\x1f]+", "-", name)[: 2 * MAX_ID_LENGTH]


def _short(text: str | None) -> str:
    return "" if text is None else text if len(text) <= 40 else f"{text[:39]}…"
