"""The work of Spark's workers besides SQL: they read raw objects and write Parquet files, in S3 themselves.

Each function here makes one that takes Arrow batches and gives Arrow batches, as DataFrame.mapInArrow wants it.
Spark's own S3 file systems are left out: they name files as they like, and leave markers behind.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import IO, TYPE_CHECKING, Any, Optional

import boto3
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from glue_jobs.curate.engines.conflicts import Conflict, conflicting_lines
from glue_jobs.curate.errors import doing
from glue_jobs.curate.hours import Partition, start_of_hour
from glue_jobs.curate.zones.columns import arrow_schema
from glue_jobs.curate.zones.lines import NO_LINE, Line, split
from glue_jobs.curate.zones.raw import AWS_CONFIG, Content, RawObject, RawZone
from telemetry.reading.codec import decode_batch, is_blank
from telemetry.reading.fields import FIELDS
from telemetry.tables.curated import QUARANTINE
from telemetry.tables.table import ATHENA_TYPES, Column

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: Takes the batches of a partition and gives others.
Worker = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]

#: Rows a batch and a row group, as DuckDB writes them.
ROWS = 122_880

#: Lines decoded at once.
_LINES = 4_096


def _columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column(name, type_, "") for name, type_ in types.items())


#: A raw object.
OBJECTS = _columns(key="string", size="bigint", dt="string", hour="string", arrived="timestamp")

#: A file by its key.
FILES = _columns(key="string")

#: What a line became: a ``reading``, or ``refused``. A row of the kind ``object`` says how many lines one had.
STAGED = (
    *_columns(kind="string", raw_object="string", arrived="timestamp", raw_line="bigint", raw_offset="bigint"),
    *_columns(reason="string", detail="string", line="string", hour_start="timestamp"),
    *_columns(**{field.name: ATHENA_TYPES[field.kind] for field in FIELDS}),
)


def schema(columns: Iterable[Column]) -> str:
    """The columns as Spark writes a schema."""
    return ", ".join(f"{column.name} {column.type}" for column in columns)


def read_objects(bucket: str, hours: Optional[Collection[dt.datetime]]) -> Worker:
    """From :data:`OBJECTS` to :data:`STAGED`; with ``hours``, the readings of these event hours and nothing else."""
    wanted = None if hours is None else frozenset(hours)

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        objects = (
            RawObject(row["key"], row["size"], Partition(row["dt"], row["hour"]), row["arrived"])
            for batch in batches
            for row in batch.to_pylist()
        )
        for content in RawZone(_s3(), bucket).read(objects):
            for rows in _staged(content):
                yield _batch(STAGED, [row for row in rows if wanted is None or _is_asked_for(row, wanted)])

    return work


def read_files(bucket: str, columns: Sequence[Column]) -> Worker:
    """From :data:`FILES` to the rows of these Parquet files; a column that is younger than a file is null in it."""
    names = _arrow(columns)

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for key in (key for batch in batches for key in batch.column("key").to_pylist()):
            with tempfile.TemporaryFile() as body:
                with doing(f"read s3://{bucket}/{key}"):
                    _s3().download_fileobj(bucket, key, body)
                for rows in pq.ParquetFile(body).iter_batches(ROWS):
                    there = dict(zip(rows.schema.names, rows.columns))
                    yield pa.RecordBatch.from_arrays(
                        [
                            there[field.name].cast(field.type)
                            if field.name in there
                            else pa.nulls(rows.num_rows, field.type)
                            for field in names
                        ],
                        schema=names,
                    )

    return work


def write_files(bucket: str, keys: Mapping[str, str], columns: Sequence[Column]) -> Worker:
    """From rows sorted by ``file`` to the :data:`FILES` that were written: each file's rows, under that file's key."""
    names = arrow_schema(columns)

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts = (part for batch in batches for part in _by_file(batch))
        for file, some in groupby(parts, key=itemgetter(0)):
            with tempfile.TemporaryFile() as body:
                _write(body, (part for _, part in some), names)
                body.seek(0)
                with doing(f"write s3://{bucket}/{keys[file]}"):
                    _s3().upload_fileobj(body, bucket, keys[file])
            yield _batch(FILES, [{"key": keys[file]}])

    return work


def read_conflicting_lines(bucket: str) -> Worker:
    """From contradictions, sorted by ``raw_object``, to rows of the quarantine without their ``id``."""

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        rows = (row for batch in batches for row in batch.to_pylist())
        contradictions: dict[str, list[Conflict]] = {}

        def objects() -> Iterator[RawObject]:
            for key, some in groupby(rows, key=itemgetter("raw_object")):
                found = list(some)
                contradictions[key] = [Conflict(*map(row.get, Conflict._fields)) for row in found]
                yield RawObject(key, 0, Partition("", ""), found[0]["arrived"])

        for found, text, _ in RawZone(_s3(), bucket).read(objects()):
            place = {"reason": "conflict", "raw_object": found.key, "arrived": found.arrived}
            quoted = conflicting_lines(text, contradictions.pop(found.key))
            yield _batch(QUARANTINE.columns, [{**place, **quote._asdict()} for quote in quoted])

    return work


def _staged(content: Content) -> Iterator[list[dict[str, Any]]]:
    """The rows of :data:`STAGED`, some at a time, without the columns that are null."""
    found, text, corrupt = content
    place = {"raw_object": found.key, "arrived": found.arrived}
    lines = 0
    if corrupt:
        nowhere = {"raw_line": 0, "raw_offset": 0, "line": ""}
        yield [{"kind": "refused", **place, **nowhere, "reason": "corrupt_object", "detail": corrupt}]
    elif is_blank(text):
        yield _decided([NO_LINE], place)
    else:
        some: list[Line] = []
        for line in split(text):
            lines += 1
            if not is_blank(line.text):
                some.append(line)
            if len(some) == _LINES:
                yield _decided(some, place)
                some = []
        if some:
            yield _decided(some, place)
    yield [{"kind": "object", **place, "raw_line": lines}]


def _decided(lines: Sequence[Line], place: Mapping[str, object]) -> list[dict[str, Any]]:
    """Decode the lines of one object that are not blank, or the one empty line of an empty object."""
    arrived: Any = place["arrived"]
    readings, rejected = decode_batch(b"\n".join(line.text for line in lines), arrived)
    if not rejected:
        return [
            {
                "kind": "reading",
                **place,
                "raw_line": line.number,
                "raw_offset": line.offset,
                "hour_start": start_of_hour(reading.ts),
                **msgspec.structs.asdict(reading),
            }
            for line, reading in zip(lines, readings)
        ]
    if len(lines) > 1:
        return [row for line in lines for row in _decided([line], place)]
    ((text, number, offset),) = lines
    (refusal,) = rejected
    refused = {"reason": refusal.reason, "detail": refusal.detail, "line": text.decode(errors="backslashreplace")}
    return [{"kind": "refused", **place, "raw_line": number, "raw_offset": offset, **refused}]


def _is_asked_for(row: Mapping[str, Any], hours: Collection[dt.datetime]) -> bool:
    return row["kind"] == "object" or (row["kind"] == "reading" and row["hour_start"] in hours)


def _by_file(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    files = batch.column("file")
    for file in files.unique().to_pylist():
        yield file, batch.filter(pc.equal(files, file))


def _write(body: IO[bytes], parts: Iterable[pa.RecordBatch], names: pa.Schema) -> None:
    with pq.ParquetWriter(body, names, compression="zstd") as writer:
        for part in parts:
            columns = [part.column(field.name).cast(field.type) for field in names]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=names))


def _batch(columns: Iterable[Column], rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Rows as a batch; what a row has no value for is null."""
    names = _arrow(columns)
    return pa.RecordBatch.from_arrays(
        [pa.array([row.get(field.name) for row in rows], field.type) for field in names], schema=names
    )


def _arrow(columns: Iterable[Column]) -> pa.Schema:
    """Return the columns as Spark exchanges them with its workers: times have the time zone UTC."""
    utc = pa.timestamp("us", tz="UTC")
    return pa.schema(
        [(field.name, utc if pa.types.is_timestamp(field.type) else field.type) for field in arrow_schema(columns)]
    )


@cache
def _s3() -> S3Client:
    return boto3.client("s3", config=AWS_CONFIG)
