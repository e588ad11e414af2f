"""Errors that end a run, with one line for a person."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError


class CurateError(Exception):
    """The run cannot go on; the message says what could not be done, where, and why."""


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Turn AWS's refusal of ``what`` (as in "list s3://bucket/raw/") into a :class:`CurateError`."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise CurateError(f"cannot {what}: {error}") from error
