"""Frame of all dashboards: variables, links between them, the time zone, rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from grafana_foundation_sdk.builders.dashboard import (
    CustomVariable,
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
    TextBoxVariable,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import table

from dashboards.grafana.queries import ATHENA, ask_athena
from pipeline.names import Stage

#: URL of the folder of runbooks, the default of ``python -m dashboards.grafana --runbooks URL``.
RUNBOOKS = "https://github.com/your-organisation/iot-pipeline/blob/main/docs/runbooks"

_TAG = "iot-pipeline"
_STAGES = get_args(Stage)

Panels = Sequence[Builder[models.Panel]]
#: Titles of rows, and the panels below each.
Rows = Sequence[tuple[str, Panels]]


def frame(
    name: str,
    what: str,
    rows: Rows,
    *,
    since: str,
    refresh: str,
    runbooks: str,
    of_sites: bool,
    of_metrics: bool = True,
) -> models.Dashboard:
    """Return a dashboard of these rows that shows the time since ``since`` (like ``now-6h``) in UTC, as the tables do.

    With ``of_sites``, viewers can select sites; with ``of_metrics``, it queries CloudWatch too. ``refresh`` is how
    often it refreshes automatically, empty for never.
    """
    board = (
        Dashboard(f"IoT pipeline: {name}")
        .uid(f"iot-pipeline-{name}")
        .description(what)
        .tags([_TAG])
        .timezone("utc")
        .time(since, "now")
        .refresh(refresh)
        .readonly()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            DashboardLink("IoT pipeline")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .include_vars(True)
            .keep_time(True)
        )
        .link(DashboardLink("Runbooks").type(models.DashboardLinkType.LINK).url("${runbooks}").target_blank(True))
        .with_variable(DatasourceVariable("athena").label("Athena").type("grafana-athena-datasource"))
        .with_variable(_stage())
    )
    if of_metrics:
        board = board.with_variable(DatasourceVariable("cloudwatch").label("CloudWatch").type("cloudwatch"))
    if of_sites:
        board = board.with_variable(_site())
    board = board.with_variable(
        TextBoxVariable("runbooks").label("Runbooks at").default_value(runbooks).hide(models.VariableHide.HIDE_VARIABLE)
    )
    for title, panels in rows:
        board = board.with_row(Row(title))
        for panel in panels:
            board = board.with_panel(panel)
    return _as_grafana_has_it(board.build())


def _as_grafana_has_it(board: models.Dashboard) -> models.Dashboard:
    """Number the panels, and remove fields of the builders that the pinned Grafana's own types do not have."""
    for number, panel in enumerate(board.panels or (), start=1):
        panel.id_val = number
        if isinstance(panel, models.Panel) and isinstance(panel.options, table.Options):
            panel.options.footer = None
    for variable in (board.templating and board.templating.list_val) or ():
        variable.auto = variable.auto_min = variable.auto_count = None
    return board


def _stage() -> CustomVariable:
    options = [models.VariableOption(selected=stage == "dev", text=stage, value=stage) for stage in _STAGES]
    return (
        CustomVariable("stage")
        .label("Stage")
        .description("Part of every resource's name. The Athena data source has the workgroup of one stage.")
        .values(",".join(_STAGES))
        .options(options)
        .current(options[0])
    )


def _site() -> QueryVariable:
    query = ask_athena("variables/sites").build().to_json()
    return (
        QueryVariable("site")
        .label("Site")
        .description("Where devices stand, by the registry and by what they sent in the last 30 days")
        .datasource(ATHENA)
        .query({**query, "connectionArgs": query["connectionArgs"].to_json()})  # type: ignore[attr-defined]
        .refresh(models.VariableRefresh.ON_DASHBOARD_LOAD)
        .multi(True)
        .include_all(True)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
