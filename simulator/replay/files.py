"""The files of a data set as one relation of DuckDB: CSV, Parquet or JSON, as they are found.

The columns of CSV and JSON are read as text: what a value means is for whoever uses it, and what cannot be read as a
number or a time is still there to be shown. Only nested values of JSON have the types that DuckDB finds.
"""

# The SQL is made of what the user of the command writes, to be run on the user's own files.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import enum
import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec

from telemetry.text.sql import identifier, literal

#: A delimiter that stands for any run of blanks and tabs.
WHITESPACE = "whitespace"

#: Beside the columns of the files: the name of the file that a row is from, without its extensions.
FILE = "_file"

#: No file has it: what makes a whole line one value.
_NOWHERE = "\x01"

_COMPRESSIONS = (".gz", ".zst")


class DatasetError(ValueError):
    """A data set cannot be used as it was asked for; the message is one line: what, where, what to do."""


class Format(enum.StrEnum):
    """Formats of files."""

    csv = enum.auto()
    parquet = enum.auto()
    json = enum.auto()


_SUFFIXES = {
    ".parquet": Format.parquet,
    ".pq": Format.parquet,
    ".json": Format.json,
    ".jsonl": Format.json,
    ".ndjson": Format.json,
    ".geojson": Format.json,
}

_NO_TABLES = (".zip", ".bz2", ".xz", ".7z", ".tar", ".tgz", ".rar", ".xlsx", ".xls", ".h5", ".hdf5", ".nc", ".mat")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Files, and how to read them; what is left out is detected.

    ``columns`` are the names of those of a CSV file without a header, ``delimiter`` what is between them (one
    character, or :data:`WHITESPACE`), ``encoding`` is utf-8, latin-1 or utf-16.
    """

    files: tuple[str, ...]
    format: Format | None = None
    columns: tuple[str, ...] = ()
    delimiter: str = ""
    encoding: str = "utf-8"

    @property
    def name(self) -> str:
        """The data set's name: its first file."""
        return Path(self.files[0]).name


class Table(NamedTuple):
    """A relation as SQL, with :data:`FILE` next to its columns, and the columns' types. ``text``: as the files have it.

    ``may_reject`` is whether lines that are no rows are left out and noted in ``reject_errors``.
    """

    sql: str
    columns: Mapping[str, str]
    text: bool
    may_reject: bool = False


def open_files(db: duckdb.DuckDBPyConnection, source: Source) -> Table:
    """Return the files' rows. Raises :class:`DatasetError`."""
    files = [file for pattern in source.files for file in _found(pattern)]
    kind = source.format or _format(files)
    if kind is not Format.csv and (source.columns or source.delimiter or source.encoding != "utf-8"):
        raise DatasetError(f"--columns, --delimiter and --encoding are for CSV, and {files[0]} is {kind}")
    names = f"[{', '.join(map(literal, files))}]"
    with plain_errors(f"cannot read {files[0]}"):
        match kind:
            case Format.parquet:
                return _described(db, f"read_parquet({names}, union_by_name = true, filename = '_path')", text=False)
            case Format.json:
                return _json(db, files[0], names)
            case _ if source.delimiter == WHITESPACE:
                return _blanks(db, files[0], names, source)
            case _:
                return _csv(db, files, source)


@contextlib.contextmanager
def plain_errors(what: str) -> Iterator[None]:
    """DuckDB's errors as :class:`DatasetError`, of one line that begins with ``what``."""
    try:
        yield
    except duckdb.Error as error:
        raise DatasetError(f"{what}: {first_line(error)}") from error


def first_line(error: duckdb.Error) -> str:
    """Return the first line of DuckDB's message, without its kind of error."""
    return re.sub(r"^[A-Z][\w ]* Error: ", "", str(error).strip().splitlines()[0]).rstrip(" .")


def _found(pattern: str) -> list[str]:
    if "://" in pattern:
        raise DatasetError(f"{pattern} is not on this machine; download it and give the file")
    if Path(pattern).is_file():
        return [pattern]
    found = sorted(file for file in glob.glob(pattern, recursive=True) if Path(file).is_file())  # noqa: PTH207
    if not found:
        raise DatasetError(f"there is no file {pattern}; folders are given as 'FOLDER/*.csv'")
    return found


def _format(files: Sequence[str]) -> Format:
    kinds = {_SUFFIXES.get(_suffix(file), Format.csv) for file in files}
    for file in files:
        if _suffix(file) in _NO_TABLES:
            raise DatasetError(f"{file} cannot be read as it is; unpack it, or save it as CSV, Parquet or JSON")
    if len(kinds) > 1:
        raise DatasetError(
            f"the files are of several kinds ({', '.join(sorted(kinds))}); give those of one, or --format"
        )
    return kinds.pop()


def _suffix(file: str) -> str:
    path = Path(file.lower())
    return (path.with_suffix("") if path.suffix in _COMPRESSIONS else path).suffix


def _described(db: duckdb.DuckDBPyConnection, relation: str, *, text: bool, may_reject: bool = False) -> Table:
    columns = {name: kind for name, kind, *_ in db.execute(f"DESCRIBE FROM {relation}").fetchall() if name != "_path"}
    every = ", ".join(map(identifier, columns))
    # As in Path.stem, but of a.csv.gz too.
    file = "regexp_extract(_path, '([^/\\\\]+?)(\\.[^./\\\\]{1,8}){0,2}$', 1)"
    return Table(f"(SELECT {every}, {file} AS {FILE} FROM {relation})", columns, text, may_reject)


def _json(db: duckdb.DuckDBPyConnection, first: str, names: str) -> Table:
    line = f"SELECT line FROM read_csv({literal(first)}, header = false, {_whole_lines('utf-8')}) LIMIT 1"
    one_a_line = db.execute(f"SELECT json_valid(line) AND line LIKE '{{%' FROM ({line})").fetchone()
    # Only where each line is one of its own can a broken one be told from those after it: it has no values.
    options = ", format = 'newline_delimited', ignore_errors = true" if one_a_line and one_a_line[0] else ""
    found = db.execute(f"DESCRIBE FROM read_json({names}, union_by_name = true{options})").fetchall()
    if [name for name, *_ in found] == ["json"]:
        raise DatasetError(f"{first} has no objects; it should be a list of them, or have one on each line")
    kinds = {name: kind if re.search(r"[(\[]", kind.replace("DECIMAL(", "")) else "VARCHAR" for name, kind, *_ in found}
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in kinds.items())
    table = _described(db, f"read_json({names}, columns = {{{columns}}}, filename = '_path'{options})", text=True)
    return table._replace(columns=kinds)


def _csv(db: duckdb.DuckDBPyConnection, files: Sequence[str], source: Source) -> Table:
    options = ["all_varchar = true", "null_padding = true", "strict_mode = false", "ignore_errors = true"]
    # As RFC 4180 has it: where no value of the first ones has a quote in it, the sniffer does not know.
    given = [f"encoding = {literal(source.encoding)}", "quote = '\"'", "escape = '\"'"]
    if source.delimiter:
        given.append(f"delim = {literal(source.delimiter)}")
    if source.columns:
        given += ["header = false", f"names = [{', '.join(map(literal, source.columns))}]"]
    else:
        # What is text in every column tells no header from a row: the sniffer has to see the types.
        with _sniffing(files[0]):
            found = db.execute(
                f"SELECT HasHeader, SkipRows FROM sniff_csv({literal(files[0])}, {', '.join([*given, *options[1:]])})"
            ).fetchone()
        header, skip = found or (True, 0)
        given += [f"header = {header}", f"skip = {skip}"]
    options += ["store_rejects = true", "filename = '_path'", *given]
    # Files may have their columns in another order each; DuckDB does not note what it rejects where it sorts that out.
    each = [f"FROM read_csv({literal(file)}, {', '.join(options)})" for file in files]
    with _sniffing(files[0]):
        return _described(db, f"({' UNION ALL BY NAME '.join(each)})", text=True, may_reject=True)


@contextlib.contextmanager
def _sniffing(file: str) -> Iterator[None]:
    try:
        yield
    except duckdb.InvalidInputException as error:
        if "sniffing" not in str(error):
            raise
        raise DatasetError(
            f"{file} cannot be read as a table: see whether a double quote is not closed near its beginning, or "
            "give --delimiter and --columns"
        ) from error


def _blanks(db: duckdb.DuckDBPyConnection, first: str, names: str, source: Source) -> Table:
    """Lines of which the values are apart by any number of blanks."""
    options = f"{_whole_lines(source.encoding)}, ignore_errors = true, store_rejects = true, filename = '_path'"
    columns = source.columns
    if not columns:
        row = db.execute(f"SELECT line FROM read_csv({literal(first)}, header = false, {options}) LIMIT 1").fetchone()
        columns = tuple(row[0].split()) if row and row[0] else ()
        if not columns:
            raise DatasetError(f"{first} has no header in its first line; give --columns")
    parts = ", ".join(f"parts[{number}] AS {identifier(name)}" for number, name in enumerate(columns, 1))
    relation = (
        f"(SELECT {parts}, _path FROM (SELECT string_split_regex(trim(line, ' \t\r'), '[ \t]+') AS parts, _path "
        f"FROM read_csv({names}, header = {not source.columns}, {options})))"
    )
    return _described(db, relation, text=True, may_reject=True)


def _whole_lines(encoding: str) -> str:
    """Options that make a line of a file one value."""
    return (
        f"columns = {{'line': 'VARCHAR'}}, delim = {literal(_NOWHERE)}, quote = '', escape = '', auto_detect = false, "
        f"strict_mode = false, encoding = {literal(encoding)}"
    )
