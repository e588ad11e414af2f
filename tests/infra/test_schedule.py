"""Which schedules Glue takes, and how long each lets the tables wait."""

from __future__ import annotations

import pytest

from cdk.schedule import parse_schedule


@pytest.mark.parametrize(
    ("schedule", "runs_a_day", "longest_wait_hours"),
    [
        ("cron(10 * * * ? *)", 24, 1),
        ("cron(0/15 * * * ? *)", 96, 1),
        ("cron(0,55 * ? * * *)", 48, 1),
        ("cron(0 */6 1/1 * ? *)", 4, 6),
        ("cron(30 6-18/4 * JAN-DEC ? 1970-2199)", 4, 12),
        ("cron(0 3 * * ? *)", 1, 24),
        ("cron(0 3 ? * 1-7 *)", 1, 24),
        ("cron(0 3 ? * MON-FRI *)", 1, None),
        ("cron(0 3 ? * FRIL *)", 1, None),
        ("cron(0 3 L * ? *)", 1, None),
        ("cron(0 3 3W * ? *)", 1, None),
        ("cron(0 * * JAN,JUL ? *)", 24, None),
        ("cron(0 * * * ? 2026)", 24, None),
    ],
)
def test_should_know_when_runs_start(schedule: str, runs_a_day: int, longest_wait_hours: int | None) -> None:
    parsed = parse_schedule(schedule)

    assert (len(parsed.starts), parsed.longest_wait_hours) == (runs_a_day, longest_wait_hours)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("rate(1 hour)", "no cron expression of six fields; write cron"),
        ("10 * * * ? *", "no cron expression of six fields"),
        ("cron(10 * * * *)", "no cron expression of six fields"),
        ("cron(10 * * * * *)", "one of its two days, and not both, must be"),
        ("cron(10 * ? * ? *)", "one of its two days, and not both, must be"),
        ("cron(60 * * * ? *)", "'60' is no value of its field Minutes"),
        ("cron(x * * * ? *)", "'x' is no value of its field Minutes"),
        ("cron(,5 * * * ? *)", "'' is no value of its field Minutes"),
        ("cron(10 24 * * ? *)", "'24' is no value of its field Hours"),
        ("cron(10 5-3 * * ? *)", "5-3 is no value of its field Hours"),
        ("cron(10 */0 * * ? *)", r"\*/0 is no value of its field Hours"),
        ("cron(10 * 0 * ? *)", "'0' is no value of its field Day-of-month"),
        ("cron(10 * * SUN ? *)", "'SUN' is no value of its field Month"),
        ("cron(10 * ? * 6#2 *)", "'6#2' is no value of its field Day-of-week"),
        ("cron(10 * * * ? 1969)", "'1969' is no value of its field Year"),
        ("cron(* * * * ? *)", "less than 5 minutes apart"),
        ("cron(0/4 * * * ? *)", "less than 5 minutes apart"),
        ("cron(0,58 * * * ? *)", "less than 5 minutes apart"),
    ],
)
def test_should_say_what_is_wrong_with_a_schedule(schedule: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        parse_schedule(schedule)

    assert "\n" not in str(error.value)
