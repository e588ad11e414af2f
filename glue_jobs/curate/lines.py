"""Bytes of raw objects to an Arrow table of lines, split in bulk: no Python runs for a good line."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from telemetry.codec import is_utf8

_GZIP_MAGIC = b"\x1f\x8b"

#: Text split at once; bounds the memory whatever the size of an object.
_PIECE_BYTES = 32 * 2**20


class Piece(NamedTuple):
    """Whole lines of one object, without the last line's end; ``before`` lines of it come earlier."""

    object_no: int
    before: int
    text: bytes


class CorruptObjectError(Exception):
    """The object says it is gzip and cannot be decompressed."""


def content(data: bytes) -> bytes:
    """What an object holds, decompressed if its first bytes are gzip's; raises :class:`CorruptObjectError`."""
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptObjectError(str(error)) from error


def pieces(object_no: int, data: bytes) -> Iterator[Piece]:
    """Cut an object's text at line ends; every line, the last unended one too, is in exactly one piece."""
    start = before = 0
    while True:
        # A piece ends at the last line end within its size, a longer line at its own end.
        end = data.rfind(b"\n", start, start + _PIECE_BYTES) if len(data) - start > _PIECE_BYTES else len(data)
        if end < 0:
            end = data.find(b"\n", start + _PIECE_BYTES)
        if end < 0 or end >= len(data) - 1:
            yield Piece(object_no, before, data[start:].removesuffix(b"\n"))
            return
        yield Piece(object_no, before, data[start:end])
        before += data.count(b"\n", start, end) + 1
        start = end + 1


def by_encoding(piece: Piece) -> Iterator[tuple[bool, Piece]]:
    """The piece, or where it is not all UTF-8 its runs of lines that are and are not, each with which it is."""
    if is_utf8(piece.text):
        yield True, piece
        return
    before = piece.before
    for valid, run in itertools.groupby(piece.text.split(b"\n"), is_utf8):
        lines = list(run)
        yield valid, Piece(piece.object_no, before, b"\n".join(lines))
        before += len(lines)


def lines_table(texts: Iterable[Piece]) -> pa.Table:
    """The lines of UTF-8 pieces: ``object_no`` (int64), ``raw_line`` (int64, from 1), ``line`` (large string).

    Blank lines are counted and left out: Firehose puts one after every record that ends its last line itself.
    """
    object_no, before, text = zip(*texts)
    ends = pa.array([0, *itertools.accumulate(map(len, text))], pa.int64())
    whole = pa.LargeStringArray.from_buffers(len(text), ends.buffers()[1], pa.py_buffer(b"".join(text)))
    split = pc.split_pattern(whole, "\n")
    piece = pc.list_parent_indices(split)
    number = pc.cumulative_sum(pa.repeat(pa.scalar(1, pa.int64()), len(piece)))
    shift = pc.subtract(pa.array(before, pa.int64()), split.offsets[:-1])
    line = pc.list_flatten(split)
    # Of an empty string Arrow says that it is no space.
    blank = pc.or_(pc.ascii_is_space(line), pc.equal(pc.binary_length(line), 0))
    table = pa.table(
        {
            "object_no": pc.take(pa.array(object_no, pa.int64()), piece),
            "raw_line": pc.add(number, pc.take(shift, piece)),
            "line": line,
        }
    )
    return table.filter(pc.invert(blank))
