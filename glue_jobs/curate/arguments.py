"""The job's arguments, from the command line on AWS and from the environment on the emulator."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NoReturn, Optional

import msgspec

from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.hours import HOUR, rfc3339, start_of_hour

_Moment = Annotated[dt.datetime, msgspec.Meta(tz=True)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]
_RunId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,64}$")]


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """Arguments of a run.

    ``raw_retention_days`` is how long the raw zone keeps every object at least, ``grace_seconds`` how long replaced
    files stay. With a window, what arrived in it (or, with ``window_by`` ``event``, the hours of event time in it) is
    curated again; ``full`` is all that the raw zone keeps. Without, it is what arrived since the last such run.
    ``dry_run`` changes nothing and tells what would be. ``region`` is where AWS is asked, if not where boto3 would.
    """

    raw_bucket: _Text
    lake_bucket: _Text
    database: _Text
    stage: _Text
    state_table: _Text
    config_bucket: _Text
    registry_key: _Text
    raw_retention_days: Annotated[int, msgspec.Meta(ge=1)]
    grace_seconds: Annotated[int, msgspec.Meta(ge=0)] = 0
    window_from: Optional[_Moment] = None
    window_to: Optional[_Moment] = None
    window_by: Literal["arrival", "event"] = "arrival"
    full: bool = False
    dry_run: bool = False
    run_id: Optional[_RunId] = None
    region: Optional[_Text] = None

    def __post_init__(self) -> None:
        if (self.window_from is None) != (self.window_to is None):
            raise ValueError("window_from and window_to go together")
        if self.full and self.window_from:
            raise ValueError("full is everything: give no window with it")

    def window(self, now: dt.datetime) -> Optional[tuple[dt.datetime, dt.datetime]]:
        """The hours to curate again, [from, to), in UTC and widened to whole hours; None without a window.

        Raises :class:`CurateError` for one that ends before it begins or begins before :meth:`oldest_kept`.
        """
        if self.window_from is None or self.window_to is None:
            return None
        start, end = start_of_hour(self.window_from), start_of_hour(self.window_to - dt.datetime.resolution) + HOUR
        if start >= end:
            raise CurateError(f"window_from {self.window_from} must lie before window_to {self.window_to}")
        # Readings of an event hour can have arrived in the hour before.
        oldest = self.oldest_kept(now) + (HOUR if self.window_by == "event" else dt.timedelta(0))
        if start < oldest:
            raise CurateError(
                f"the window begins at {rfc3339(start)}, when raw objects may be gone "
                f"(raw_retention_days is {self.raw_retention_days}): begin it at {rfc3339(oldest)} or later"
            )
        return start, end

    def oldest_kept(self, now: dt.datetime) -> dt.datetime:
        """The first arrival hour of which no raw object can have expired by ``now``."""
        return start_of_hour(now - dt.timedelta(days=self.raw_retention_days) - dt.datetime.resolution) + HOUR


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CurateError(message)


def parse_arguments(argv: Sequence[str], environ: Mapping[str, str]) -> Arguments:
    """The arguments in ``argv`` (without the script's name), each else from ``environ`` under the same name.

    Others are left alone: Glue adds its own. Raises :class:`CurateError` for one missing or unusable.
    """
    parser = _Parser(allow_abbrev=False, add_help=False)
    for name in Arguments.__struct_fields__:
        parser.add_argument(f"--{name}", default=environ.get(name))
    known, _ = parser.parse_known_args(argv)
    given = {name: value for name, value in vars(known).items() if value}
    missing = [name for name in Arguments.__struct_fields__ if name not in given]
    required = [field.name for field in msgspec.structs.fields(Arguments) if field.required]
    if set(missing) & set(required):
        names = ", ".join(f"--{name}" for name in required if name in missing)
        raise CurateError(f"missing job argument {names} (on an emulator: environment variables of that name)")
    try:
        return msgspec.convert(given, Arguments, strict=False)
    except msgspec.ValidationError as error:
        raise CurateError(
            f"job arguments: {error}; times are RFC 3339 with an offset, days and seconds whole numbers"
        ) from error
