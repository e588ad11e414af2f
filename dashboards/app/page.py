"""Parts of all pages: title, time zone, errors, and hints where there is no data."""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from collections.abc import Callable
from typing import NamedTuple, NoReturn

import pandas as pd
import streamlit as st
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection
from streamlit.elements.lib.column_types import ColumnConfig

from dashboards.app.pipeline_in_use import Source, deployed, source
from local.endpoint import LocalError
from pipeline.errors import PipelineError

_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException")
_INVALID = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)

_NO_ANSWER = (
    "AWS does not answer. If this is the local AWS, start it again (**make demo**, or **iot up** and **iot deploy**): "
    "the page goes on by itself if it has its old port, else start **iot dashboard** again."
)

#: The hint where the tables are empty.
CURATE = "The curation fills them, on AWS every hour; on the local AWS: **iot etl run**"

#: Characters that Markdown, or Streamlit's additions to it, interpret.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&])")


def plain(text: str) -> str:
    """Escape a text of users (a device's name, a reason) where Streamlit would read Markdown."""
    return _MARKUP.sub(r"\\\1", text)


def shown(title: str, what: str) -> Callable[[Callable[[Source], None]], Callable[[], None]]:
    """Decorate a page with its heading. Errors are shown with what to do about them, never as a stack trace."""

    def decorate(draw: Callable[[Source], None]) -> Callable[[], None]:
        @functools.wraps(draw)
        def page() -> None:
            st.title(title)
            st.caption(what)
            guarded(lambda: _draw(draw))

        return page

    return decorate


def _draw(draw: Callable[[Source], None]) -> None:
    chosen = source()
    deployed(chosen)  # what is not there is said once, and not by each part of the page
    draw(chosen)


def guarded(draw: Callable[[], None]) -> None:
    """Draw, or show the error."""
    try:
        draw()
    except (PipelineError, LocalError, ClientError, BotoCoreError) as error:
        deployed.clear()  # it may have changed
        text, icon = _words(error)
        st.error(text, icon=icon)


def _words(error: Exception) -> tuple[str, str]:
    cause = error.__cause__ if isinstance(error, PipelineError) else error
    if isinstance(cause, ClientError) and (words := _of_client(cause)):
        return words, ":material/key:"
    if isinstance(cause, NoConnection | HTTPClientError):
        return _NO_ANSWER, ":material/cloud_off:"
    if isinstance(cause, NoCredentialsError | CredentialRetrievalError | TokenRetrievalError | SSOError):
        return f"{plain(str(cause))} Sign in to AWS, and start the page again.", ":material/key:"
    if isinstance(cause, NoRegionError):
        return "No AWS region is set: set AWS\\_REGION, and start the page again.", ":material/public:"
    return plain(str(error)), ":material/error:"


def _of_client(error: ClientError) -> str:
    """Return what to do about a refusal by AWS; empty where a viewer can do nothing."""
    code, message = error.response["Error"]["Code"], plain(error.response["Error"]["Message"])
    if code in _DENIED:
        return f"Your credentials may not do that: {message}. docs/dashboard.md lists what the page needs."
    if code in _INVALID:
        return f"Your credentials are not valid, or no longer ({message}): sign in to AWS, and start the page again."
    return ""


def nothing_yet(what: str, todo: str) -> None:
    """Show what is missing and how to get it."""
    st.info(f"{what} {todo}", icon=":material/hourglass_empty:")


class Figure(NamedTuple):
    """A number with its name, a help text, and a note below it."""

    name: str
    value: str
    words: str = ""
    note: str = ""


def figures(*shown: Figure) -> None:
    """Show a row of numbers."""
    for column, one in zip(st.columns(len(shown)), shown, strict=True):
        column.metric(
            one.name,
            one.value,
            delta=one.note or None,
            delta_color="off",
            delta_arrow="off",
            help=one.words or None,
            border=True,
            height="stretch",
        )


def times(label: str, form: str = "YYYY-MM-DD HH:mm:ss") -> ColumnConfig:
    """Return a table's column of times that went through :func:`wall`."""
    return st.column_config.DatetimeColumn(label, format=form, timezone="UTC")


def stop(what: str, todo: str) -> NoReturn:
    """Show what is missing, and end the page: the rest would be empty too."""
    nothing_yet(what, todo)
    st.stop()


def choose_time_zone() -> None:
    """Draw the selection of the time zone in the sidebar; the default is the browser's."""
    zones = _zones()
    mine = st.context.timezone or "UTC"
    st.sidebar.selectbox(
        "Time zone",
        zones,
        index=zones.index(mine) if mine in zones else zones.index("UTC"),
        key="zone",
        help="Of every time on these pages. Days (dt) of tables are days in UTC.",
    )


@functools.cache
def _zones() -> list[str]:
    """Return all time zones, cached: they are files, and the page is drawn often."""
    return sorted(zoneinfo.available_timezones())


def zone() -> zoneinfo.ZoneInfo:
    """Return the chosen time zone."""
    return zoneinfo.ZoneInfo(st.session_state.get("zone") or "UTC")


def wall(times: pd.Series) -> pd.Series:
    """Convert times (UTC) to local times of the chosen zone.

    They are labelled UTC, so that charts and tables show them unchanged whatever the browser's zone.
    """
    return times.dt.tz_convert(zone()).dt.tz_localize(None).dt.tz_localize("UTC")


def clock(moment: dt.datetime | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Format a time in the chosen zone; empty for None."""
    return f"{moment.astimezone(zone()):{form}}" if moment else ""


def ago(moment: dt.datetime) -> str:
    """Format the age of a time in its largest unit."""
    seconds = (dt.datetime.now(dt.UTC) - moment).total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def today() -> dt.date:
    """Return the date in UTC, as days of tables are."""
    return dt.datetime.now(dt.UTC).date()
