"""Charts, with units, a time zone on the axis, and the same colours in light and dark."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path

import altair as alt
import pandas as pd
import streamlit as st

from dashboards.app.page import wall, zone
from telemetry.rules.rule_set import SEVERITIES

#: Colours of severities, for marks. Words need more contrast.
SEVERITY_COLOURS = {"info": "#4C8BF5", "warning": "#C98300", "critical": "#D64545", "page": "#9B5DE5"}

BY_SEVERITY = alt.Scale(domain=list(SEVERITIES), range=[SEVERITY_COLOURS[name] for name in SEVERITIES])

#: The colour of marks without a severity.
TEAL = "#159A9C"

#: Pixels of a bar with its name, of an axis with its title, and of a legend.
_ROW, _AXIS, _LEGEND = 26, 75, 75

#: Format of numbers on axes, without trailing zeros.
NUMBER = ",.4~f"

#: In days.
_TEN_MINUTES = 10 / 1440

#: Natural Earth's coasts and borders, 1:110 million, public domain, as the npm package world-atlas 2.0.2 has them
#: (ISC licence). No tiles are fetched, so no third party learns where the sensors are.
_WORLD = Path(__file__).parent / "countries-110m.json"


def by_time(times: pd.Series, *, hours: float = 0) -> alt.X:
    """Return the axis of ``at``, whose ``times`` went through :func:`~dashboards.app.page.wall`.

    It goes from the first to the last of them; with ``hours``, from that long ago until now.
    """
    first, last = times.min(), times.max()
    if hours:
        (last,) = wall(pd.Series([pd.Timestamp.now("UTC")]))
        first = last - pd.Timedelta(hours=hours)
    days = (last - first) / pd.Timedelta(days=1)
    form = "%H:%M:%S" if days < _TEN_MINUTES else "%H:%M" if days <= 1 else "%d %b %H:%M" if days <= 3 else "%d %b"
    return alt.X(
        "at:T",
        title=f"time, {zone().key}",
        scale=alt.Scale(type="utc", domain=[_moment(first), _moment(last)]) if hours else alt.Scale(type="utc"),
        axis=alt.Axis(format=form, labelOverlap=True, labelSeparation=8, tickCount=8),
    )


def _moment(at: pd.Timestamp) -> alt.DateTime:
    return alt.DateTime(
        year=at.year, month=at.month, date=at.day, hours=at.hour, minutes=at.minute, seconds=at.second, utc=True
    )


def time_tooltip() -> alt.Tooltip:
    """Return a tooltip of the time, to the second."""
    return alt.Tooltip("at:T", title="time", format="%Y-%m-%d %H:%M:%S")


def ink() -> str:
    """Return the colour of words on charts: a contrast of 7:1 or more, in light and dark."""
    return "#E6E8EA" if st.context.theme.type == "dark" else "#3A3F45"


def draw(chart: alt.Chart | alt.LayerChart | alt.FacetChart, what: str) -> None:
    """Put a chart on the page; ``what`` is its description for screen readers."""
    axis = chart.configure_axis(labelColor=ink(), titleColor=ink())
    st.altair_chart(axis.configure_legend(labelColor=ink(), titleColor=ink()), alt=what)


def lines(frame: pd.DataFrame, unit: str, *, hours: float, height: int = 280) -> alt.Chart:
    """Return a line per column but ``at`` (UTC) over the last ``hours``, with gaps where there is no value."""
    long = frame.assign(at=wall(frame["at"])).melt("at", var_name="what")
    return (
        alt.Chart(long, height=height)
        .mark_line(point=alt.OverlayMarkDef(size=18), interpolate="linear")
        .encode(
            by_time(long["at"], hours=hours),
            alt.Y("value:Q", title=unit, scale=alt.Scale(zero=True), axis=alt.Axis(format=NUMBER)),
            alt.Color("what:N", title=None, legend=alt.Legend(orient="top") if frame.shape[1] > 2 else None),
            tooltip=["what:N", alt.Tooltip("value:Q", format=",.3~f", title=unit), time_tooltip()],
        )
    )


def bars_by_severity(frame: pd.DataFrame, *, hours: float, height: int = 280) -> alt.Chart:
    """Return stacked bars of ``alerts`` of the last ``hours`` by time (``at``, UTC) and ``severity``."""
    shown = frame.assign(at=wall(frame["at"]))
    return (
        alt.Chart(shown, height=height)
        .mark_bar(size=12)
        .encode(
            by_time(shown["at"], hours=hours),
            alt.Y("sum(alerts):Q", title="alerts fired an hour", axis=alt.Axis(tickMinStep=1)),
            alt.Color("severity:N", scale=BY_SEVERITY, title=None, legend=alt.Legend(orient="top")),
            tooltip=["severity:N", alt.Tooltip("sum(alerts):Q", title="alerts"), time_tooltip()],
        )
    )


def _rows(frame: pd.DataFrame, name: str, *, legend: bool) -> int:
    """Return the pixels of a chart with a row per value of a column, including its axis and legend."""
    return _ROW * int(frame[name].nunique()) + _AXIS + (_LEGEND if legend else 0)


def bars(frame: pd.DataFrame, x: str, y: str, *, colour: str | None = None) -> alt.Chart:
    """Return horizontal bars; ``x`` and ``y`` as ``column|title with its unit``."""
    (value, value_title), (name, name_title) = x.split("|"), y.split("|")
    chart = alt.Chart(frame, height=_rows(frame, name, legend=bool(colour))).mark_bar(color=TEAL)
    encodings = {
        "x": alt.X(f"{value}:Q", title=value_title, axis=alt.Axis(format=NUMBER, tickCount=6)),
        "y": alt.Y(f"{name}:N", title=name_title or None, sort="-x"),
        "tooltip": list(frame.columns),
    }
    if colour:
        encodings["color"] = alt.Color(f"{colour}:N", title=None, legend=alt.Legend(orient="top"))
    return chart.encode(**encodings)


def histogram(frame: pd.DataFrame, x: str, y: str, step: float, *, colour: str) -> alt.Chart:
    """Return bars from each ``x`` to ``step`` above it, of height ``y``; both as ``column|title with its unit``."""
    (value, value_title), (count, count_title) = x.split("|"), y.split("|")
    return (
        alt.Chart(frame.assign(upto=frame[value] + step), height=280)
        .mark_bar()
        .encode(
            alt.X(
                f"{value}:Q",
                title=value_title,
                bin="binned",
                scale=alt.Scale(zero=False),
                axis=alt.Axis(format=".1f", tickMinStep=step),
            ),
            alt.X2("upto:Q"),
            alt.Y(f"sum({count}):Q", title=count_title, axis=alt.Axis(format=NUMBER, tickMinStep=1)),
            alt.Color(f"{colour}:N", title=None, legend=alt.Legend(orient="top")),
            tooltip=[
                f"{colour}:N",
                alt.Tooltip(f"{value}:Q", format=".1f"),
                alt.Tooltip(f"sum({count}):Q", title=count_title),
            ],
        )
    )


def site_map(sites: pd.DataFrame, *, height: int = 440) -> alt.LayerChart | alt.FacetChart:
    """Return a map of sites at ``longitude`` and ``latitude``, sized by ``devices`` and coloured by ``state``."""
    land = alt.Chart(_world()).mark_geoshape(
        fill="#8A8F98", fillOpacity=0.25, stroke="#8A8F98", strokeWidth=0.6, aria=False
    )
    spots = (
        alt.Chart(sites)
        .mark_circle(opacity=0.85, stroke="white", strokeWidth=1)
        .encode(
            longitude="longitude:Q",
            latitude="latitude:Q",
            size=alt.Size("devices:Q", title="devices", scale=alt.Scale(range=[120, 700]), legend=None),
            color=alt.Color(
                "state:N",
                title=None,
                scale=alt.Scale(
                    domain=["no alert", *SEVERITIES], range=[TEAL, *(SEVERITY_COLOURS[name] for name in SEVERITIES)]
                ),
                legend=alt.Legend(orient="bottom", columns=3, symbolStrokeWidth=0),
            ),
            tooltip=["site:N", "devices:Q", alt.Tooltip("alerts:Q", title="active alerts"), "state:N"],
        )
    )
    names = (
        alt.Chart(sites)
        .mark_text(dy=-22, fontSize=12, fontWeight="bold", color=ink())
        .encode(longitude="longitude:Q", latitude="latitude:Q", text="site:N")
    )
    (west, east), (south, north) = _extent(sites["longitude"]), _extent(sites["latitude"])
    # Before the page is laid out, charts have no width.
    wide = f"max(width, 300) / {math.radians(east - west):.6f}"
    high = f"max(height, 200) / {_mercator(north) - _mercator(south):.6f}"
    middle = math.degrees(2 * math.atan(math.exp((_mercator(south) + _mercator(north)) / 2)) - math.pi / 2)
    return (
        alt.layer(land, spots, names)
        .project(
            type="mercator",
            center=[(west + east) / 2, middle],
            scale={"expr": f"0.7 * min({wide}, {high})"},  # type: ignore[arg-type]
            translate={"expr": "[width / 2, height / 2]"},  # type: ignore[arg-type]
        )
        .properties(height=height)
    )


@functools.cache
def _world() -> alt.InlineData:
    return alt.InlineData(
        values=json.loads(_WORLD.read_text()), format=alt.TopoDataFormat(type="topojson", feature="countries")
    )


def _extent(degrees: pd.Series) -> tuple[float, float]:
    """Return the smallest and the largest, at least three degrees apart, so that one site has a country around it."""
    low, high = float(degrees.min()), float(degrees.max())
    room = max(0.0, 3 - (high - low)) / 2
    return low - room, high + room


def _mercator(latitude: float) -> float:
    """Return the position of a latitude (degrees) on the map, in radians of longitude; cut at 80 degrees."""
    return math.asinh(math.tan(math.radians(min(max(latitude, -80.0), 80.0))))


def bars_of_severity(frame: pd.DataFrame, by: str) -> alt.Chart:
    """Return horizontal bars of ``alerts`` by the column ``by`` and ``severity``, the longest first."""
    return (
        alt.Chart(frame, height=_rows(frame, by, legend=False))
        .mark_bar()
        .encode(
            alt.X("sum(alerts):Q", title="alerts fired", axis=alt.Axis(tickMinStep=1)),
            alt.Y(f"{by}:N", title=by, sort="-x"),
            alt.Color("severity:N", scale=BY_SEVERITY, title=None, legend=None),
            tooltip=[f"{by}:N", "severity:N", alt.Tooltip("sum(alerts):Q", title="alerts")],
        )
    )


def points(frame: pd.DataFrame, x: str, y: str) -> alt.Chart:
    """Return a point per ``what`` of each row ``y``; ``x`` as ``column|title with its unit``."""
    value, title = x.split("|")
    return (
        alt.Chart(frame, height=_rows(frame, y, legend=True))
        .mark_point(filled=True, size=110)
        .encode(
            alt.X(f"{value}:Q", title=title),
            alt.Y(f"{y}:N", title=None),
            alt.Color("what:N", title=None, legend=alt.Legend(orient="top", labelLimit=260)),
            alt.Shape("what:N", title=None),
            tooltip=[f"{y}:N", "what:N", alt.Tooltip(f"{value}:Q", format=",.2f")],
        )
    )
