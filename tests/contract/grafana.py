"""The checked-in Grafana dashboards, and what Grafana and its Athena plugin make of a query before it is asked."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any, NamedTuple

from dashboards.grafana.__main__ import PROVISIONED

BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(PROVISIONED.glob("*.json"))
}

#: What the plugin fills in of what ours use: https://github.com/grafana/athena-datasource/blob/main/pkg/athena/macros.go
_MACRO = re.compile(r"\$__(\w+)\(([^()]*)\)")
_GO_TIME = "%Y-%m-%d %H:%M:%S"


class Query(NamedTuple):
    """One question to Athena, and where it is asked: ``over_time`` by a graph, else by a table or a number."""

    where: str
    sql: str
    over_time: bool
    database: str


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """All but the rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def athena_queries() -> list[Query]:
    """All that the dashboards ask Athena, their variables included."""
    found = []
    for name, board in BOARDS.items():
        asked = [(panel["title"], target) for panel in panels(board) for target in panel["targets"]]
        asked += [(v["name"], v["query"]) for v in board["templating"]["list"] if v["type"] == "query"]
        found += [
            Query(f"{name}: {title}", target["rawSQL"], target["format"] == 0, target["connectionArgs"]["database"])
            for title, target in asked
            if "rawSQL" in target
        ]
    return found


def filled_in(sql: str, *, since: dt.datetime, until: dt.datetime, sites: tuple[str, ...]) -> str:
    """The SQL as Athena gets it; raises KeyError for a macro that is not known here."""

    def macro(match: re.Match[str]) -> str:
        name, argument = match.groups()
        if name == "timeFilter":
            return f"{argument} BETWEEN TIMESTAMP '{since:{_GO_TIME}}' AND TIMESTAMP '{until:{_GO_TIME}}'"
        assert argument == "'yyyy-MM-dd'"
        return f"'{ {'rawTimeFrom': since, 'rawTimeTo': until}[name]:%Y-%m-%d}'"

    listed = ",".join(f"'{site}'" for site in sites)
    return _MACRO.sub(macro, sql).replace("${site:singlequote}", listed)
