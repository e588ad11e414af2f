"""Times in the chosen zone, and what is said where something is in the way."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError

from dashboards.app import page
from pipeline.errors import PipelineError

SUMMER = dt.datetime(2026, 7, 1, 22, 30, tzinfo=dt.UTC)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the page says in red."""
    found: list[str] = []
    monkeypatch.setattr("streamlit.error", lambda text, **_: found.append(text))
    return found


def guard(error: Exception) -> None:
    def fails() -> None:
        raise error

    page.guarded(fails)


def refused(code: str) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "not you"}}
    return ClientError(response, "Scan")


def of_query(cause: ClientError) -> PipelineError:
    error = PipelineError("Athena refused the query")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("freezer-7", r"freezer\-7"),
        ("![x](http://host/p.png)", r"\!\[x\]\(http\://host/p\.png\)"),
        ("**bold** $x^2$ :red[r]", r"\*\*bold\*\* \$x^2\$ \:red\[r\]"),
        ("naïve 日本 o'brien", "naïve 日本 o'brien"),
    ],
)
def test_should_show_a_name_as_it_is_and_not_as_markdown(text: str, shown: str) -> None:
    assert page.plain(text) == shown


def test_should_show_a_time_as_the_clock_on_the_wall_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamlit.session_state", {"zone": "Europe/Prague"})
    assert page.clock(SUMMER) == "2026-07-02 00:30:00"
    assert page.clock(None) == ""
    (shown,) = page.wall(pd.Series(pd.to_datetime([SUMMER], utc=True)))
    assert shown.isoformat() == "2026-07-02T00:30:00+00:00"


def test_should_take_utc_where_no_zone_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamlit.session_state", {})
    assert page.clock(SUMMER, "%H:%M") == "22:30"


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5 s ago"), (90, "2 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")]
)
def test_should_say_how_long_ago_in_the_largest_unit(seconds: int, words: str) -> None:
    assert page.ago(dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PipelineError("no stack *x* here"), r"no stack \*x\* here"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "make demo"),
        (refused("AccessDeniedException"), "docs/dashboard.md lists what the page needs"),
        (refused("ExpiredTokenException"), "sign in to AWS"),
        (refused("UnrecognizedClientException"), "sign in to AWS"),
        (refused("InternalServerError"), "not you"),
        (of_query(refused("ExpiredTokenException")), "sign in to AWS"),
        (NoCredentialsError(), "Sign in to AWS"),
        (NoRegionError(), "No AWS region is set"),
    ],
)
def test_should_say_what_to_do_about_what_is_in_the_way(said: list[str], error: Exception, words: str) -> None:
    guard(error)
    (text,) = said
    assert words in text


def test_should_not_hide_a_mistake_of_ours(said: list[str]) -> None:
    with pytest.raises(KeyError):
        guard(KeyError("column"))
    assert said == []
