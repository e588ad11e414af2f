"""The job's arguments: from either place, checked, with a window of whole hours."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from glue_jobs.curate.arguments import Arguments, parse_arguments
from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.hours import HOUR

REQUIRED: dict[str, Any] = {
    "raw_bucket": "raw",
    "lake_bucket": "lake",
    "database": "iot",
    "stage": "dev",
    "state_table": "curation",
    "config_bucket": "config",
    "registry_key": "registry/devices.csv",
    "raw_retention_days": 1,
}
GIVEN: dict[str, str] = {name: str(value) for name, value in REQUIRED.items()}
NOW = dt.datetime(2026, 11, 23, 12, 30, tzinfo=dt.UTC)


def hour(number: int) -> dt.datetime:
    return dt.datetime(2026, 11, 23, number, tzinfo=dt.UTC)


def test_should_read_the_command_line_and_leave_glue_its_own_arguments() -> None:
    argv = ["--job-language", "python", *(part for name in GIVEN for part in (f"--{name}", GIVEN[name]))]
    argv += ["--grace_seconds", "60", "--enable-metrics", "--TempDir", "s3://t"]
    assert parse_arguments(argv, {}) == Arguments(**REQUIRED, grace_seconds=60)


def test_should_read_the_environment_where_there_is_no_command_line() -> None:
    environ = {**GIVEN, "window_from": "2026-11-23T10:00:00Z", "window_to": "2026-11-23T11:00:00Z", "PATH": "/bin"}
    environ |= {"window_by": "event", "dry_run": "true", "full": "", "run_id": "20261123-a"}
    assert parse_arguments([], environ) == Arguments(
        **REQUIRED, window_from=hour(10), window_to=hour(11), window_by="event", dry_run=True, run_id="20261123-a"
    )


def test_should_name_every_missing_argument_in_one_line() -> None:
    with pytest.raises(
        CurateError,
        match=r"^missing job argument --lake_bucket, --stage, --state_table, --config_bucket, --registry_key, [^\n]*$",
    ):
        parse_arguments(["--raw_bucket", "raw"], {"database": "iot"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"grace_seconds": "-1"},
        {"grace_seconds": "soon"},
        {"raw_retention_days": "0"},
        {"raw_retention_days": "1.5"},
        {"window_from": "yesterday"},
        {"window_to": "2026-11-23T10:00:00"},
        {"window_by": "luck"},
        {"dry_run": "perhaps"},
        {"run_id": "a/b"},
    ],
)
def test_should_say_which_argument_cannot_be_used(wrong: dict[str, str]) -> None:
    with pytest.raises(CurateError, match=f"{next(iter(wrong))}`.*RFC 3339"):
        parse_arguments([], {**GIVEN, **wrong})


def test_should_refuse_an_argument_without_its_value() -> None:
    with pytest.raises(CurateError, match="--stage"):
        parse_arguments(["--stage"], GIVEN)


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        (None, None, None),
        (hour(8), hour(9), (hour(8), hour(9))),
        (hour(8) + dt.timedelta(minutes=59), hour(9) + dt.timedelta(microseconds=1), (hour(8), hour(10))),
        (hour(8).astimezone(dt.timezone(dt.timedelta(hours=-7))), hour(9), (hour(8), hour(9))),
    ],
)
def test_should_widen_the_window_to_whole_hours(
    start: dt.datetime | None, end: dt.datetime | None, window: tuple[dt.datetime, dt.datetime] | None
) -> None:
    assert Arguments(**REQUIRED, window_from=start, window_to=end).window(NOW) == window


def test_should_refuse_a_window_that_ends_before_it_begins() -> None:
    with pytest.raises(CurateError, match="must lie before"):
        Arguments(**REQUIRED, window_from=hour(12), window_to=hour(10)).window(NOW)


@pytest.mark.parametrize(
    ("now", "oldest"),
    [
        (hour(12), hour(12)),
        (hour(12) - dt.timedelta(microseconds=1), hour(12)),
        (hour(12) + dt.timedelta(microseconds=1), hour(13)),
    ],
)
def test_should_begin_a_window_at_the_oldest_hour_surely_kept_and_no_earlier(
    now: dt.datetime, oldest: dt.datetime
) -> None:
    oldest -= dt.timedelta(days=1)
    assert Arguments(**REQUIRED, window_from=oldest, window_to=now).window(now) is not None
    message = r"^the window begins at 2026-11-22T1[12]:00:00Z, when .* is 1\): begin it at 2026-11-22T1[23]:00:00Z or"
    with pytest.raises(CurateError, match=message):
        Arguments(**REQUIRED, window_from=oldest - dt.timedelta(microseconds=1), window_to=now).window(now)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"window_from": "2026-11-23T10:00:00Z"}, "window_from and window_to go together"),
        ({"window_to": "2026-11-23T10:00:00Z"}, "window_from and window_to go together"),
        (
            {"full": "true", "window_from": "2026-11-23T10:00:00Z", "window_to": "2026-11-23T11:00:00Z"},
            "full is everything: give no window with it",
        ),
    ],
)
def test_should_refuse_arguments_that_do_not_go_together(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(CurateError, match=said):
        parse_arguments([], {**GIVEN, **wrong})


def test_should_begin_a_window_of_event_time_an_hour_later() -> None:
    now = hour(12)
    oldest = Arguments(**REQUIRED).oldest_kept(now)
    event: dict[str, Any] = {**REQUIRED, "window_to": now, "window_by": "event"}
    assert Arguments(**event, window_from=oldest + HOUR).window(now) is not None
    with pytest.raises(CurateError, match="the window begins at"):
        Arguments(**event, window_from=oldest).window(now)
