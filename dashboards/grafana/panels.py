"""Kinds of panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DynamicConfigValue, Threshold, ThresholdsMode

from dashboards.grafana.queries import ATHENA, CLOUDWATCH, Formula, Metric, ask_athena, ask_cloudwatch

_HEIGHT = 8
#: A dashboard is 24 units wide.
WIDTH = 24


class Limits(NamedTuple):
    """Values from which a panel turns orange and red; with ``falling``, below which."""

    warning: float
    critical: float
    falling: bool = False

    @property
    def steps(self) -> list[Threshold]:
        """The colours from the smallest value on; the first has no lower limit."""
        if self.falling:
            return [
                Threshold(value=None, color="red"),
                Threshold(value=self.critical, color="orange"),
                Threshold(value=self.warning, color="green"),
            ]
        return [
            Threshold(value=None, color="green"),
            Threshold(value=self.warning, color="orange"),
            Threshold(value=self.critical, color="red"),
        ]


def _colours(limits: Limits) -> ThresholdsConfig:
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(limits.steps)


def runbook(name: str) -> DashboardLink:
    """Return a link to ``docs/runbooks/<name>.md`` below the URL in the dashboard's variable."""
    return (
        DashboardLink(f"Runbook: {name}")
        .type(DashboardLinkType.LINK)
        .url(f"${{runbooks}}/{name}.md")
        .target_blank(True)
    )


def graph(
    title: str,
    what: str,
    asked: Sequence[Metric | Formula] | str,
    *,
    unit: str = "short",
    span: int = 6,
    bars: bool = False,
    floor: float | None = 0,
    runbooks: Sequence[str] = (),
) -> timeseries.Panel:
    """Return a graph of lines, or stacked bars, over time: of metrics, or of the query in ``sql/<asked>.sql``.

    ``floor`` is where the axis begins; None leaves it to the values.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(what)
        .unit(unit)
        .span(span)
        .height(_HEIGHT)
        .legend(common_builders.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST))
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .links([runbook(name) for name in runbooks])
    )
    if floor is not None:
        panel = panel.min(floor)
    if bars:
        panel = (
            panel.draw_style(common.GraphDrawStyle.BARS)
            .fill_opacity(80)
            .stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
        )
    if isinstance(asked, str):
        return panel.datasource(ATHENA).with_target(ask_athena(asked, over_time=True))
    panel = panel.datasource(CLOUDWATCH)
    for number, series in enumerate(asked):
        panel = panel.with_target(ask_cloudwatch(series, chr(ord("A") + number)))
    return panel


def number(
    title: str,
    what: str,
    asked: Metric | str,
    *,
    unit: str = "short",
    span: int = 4,
    limits: Limits | None = None,
    rows_counted_by: str | None = None,
    runbooks: Sequence[str] = (),
) -> stat.Panel:
    """Return a large number: the newest value of a metric, or the result of the query in ``sql/<asked>.sql``.

    With ``rows_counted_by``, the name of a column, it is the number of rows.
    """
    reduced = common_builders.ReduceDataOptions().calcs(["lastNotNull"])
    if rows_counted_by:
        reduced = common_builders.ReduceDataOptions().calcs(["count"]).fields(f"/^{rows_counted_by}$/")
    panel = (
        stat.Panel()
        .title(title)
        .description(what)
        .unit(unit)
        .span(span)
        .height(_HEIGHT // 2)
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(reduced)
        .thresholds(_colours(limits) if limits else ThresholdsConfig().steps([Threshold(value=None, color="text")]))
        .links([runbook(name) for name in runbooks])
    )
    if rows_counted_by:
        panel = panel.no_value("0")
    if isinstance(asked, str):
        return panel.datasource(ATHENA).with_target(ask_athena(asked))
    return panel.datasource(CLOUDWATCH).with_target(ask_cloudwatch(asked, "A"))


def tally(title: str, what: str, asked: str, *, span: int) -> stat.Panel:
    """Return a large number per column of the row that the query in ``sql/<asked>.sql`` returns, red above 0."""
    return (
        stat.Panel()
        .title(title)
        .description(what)
        .span(span)
        .height(_HEIGHT // 2)
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(
            ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(value=None, color="green"), Threshold(value=1, color="red")])
        )
        .datasource(ATHENA)
        .with_target(ask_athena(asked))
    )


def listing(
    title: str,
    what: str,
    asked: str,
    *,
    span: int = 12,
    units: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    runbooks: Sequence[str] = (),
) -> table.Panel:
    """Return a table of the rows of the query in ``sql/<asked>.sql``; ``units`` and ``links`` are by column."""
    panel = (
        table.Panel()
        .title(title)
        .description(what)
        .span(span)
        .height(_HEIGHT)
        .filterable(True)
        .no_value("")
        .links([runbook(name) for name in runbooks])
        .datasource(ATHENA)
        .with_target(ask_athena(asked))
    )
    for column, unit in (units or {}).items():
        panel = panel.override_by_name(column, [DynamicConfigValue(id_val="unit", value=unit)])
    for column, url in (links or {}).items():
        link = {"title": f"Open {column}", "url": url, "targetBlank": True}
        panel = panel.override_by_name(column, [DynamicConfigValue(id_val="links", value=[link])])
    return panel
