"""The checked-in dashboards are those of the code, and such that the pinned Grafana understands."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dashboards.grafana.__main__ import PROVISIONED, documents
from tests.contract.grafana import BOARDS, panels

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    found = json.loads((Path(__file__).parent / "schemas" / "grafana-dashboard.json").read_text())
    return jsonschema.Draft7Validator(found)


def problems(schema: jsonschema.Draft7Validator, board: dict[str, Any]) -> Iterator[str]:
    for error in schema.iter_errors(board):
        for cause in causes(error):
            yield f"{cause.json_path}: {cause.message}"


def causes(error: jsonschema.ValidationError) -> Iterator[jsonschema.ValidationError]:
    """What is wrong with a panel, said by the one of several kinds that it comes closest to."""
    if not error.context:
        yield error
        return
    kinds: dict[str | int, list[jsonschema.ValidationError]] = {}
    for part in error.context:
        kinds.setdefault(part.schema_path[0], []).append(part)
    for part in min(kinds.values(), key=lambda parts: (any("type" in p.relative_path for p in parts), len(parts))):
        yield from causes(part)


def test_should_be_checked_in_as_the_code_makes_them() -> None:
    checked_in = {path.name: path.read_text(encoding="utf-8") for path in PROVISIONED.glob("*.json")}
    assert checked_in == documents(), "run: python -m dashboards.grafana"


@each_board
def test_should_keep_to_grafanas_schema(schema: jsonschema.Draft7Validator, board: dict[str, Any]) -> None:
    assert list(problems(schema, board)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("refrsh",), "5m"),
        (("timezone",), 1),
        (("panels", 1, "titel"), "x"),
        (("panels", 1, "type"), "graf"),
        (("panels", 1, "fieldConfig", "defaults", "unit"), 3),
        (("panels", 1, "fieldConfig", "defaults", "custom", "drawStyle"), "dotted"),
        (("panels", 1, "options", "tooltip", "mode"), "all"),
        (("panels", 1, "targets", 0, "metric"), "IncomingBytes"),
        (("panels", 1, "targets", 0, "period"), 60),
        (("templating", "list", 0, "type"), "choice"),
    ],
    ids=lambda path: ".".join(map(str, path)) if isinstance(path, tuple) else "",
)
def test_should_find_what_grafana_does_not_know(
    schema: jsonschema.Draft7Validator, path: tuple[str | int, ...], value: object
) -> None:
    board = copy.deepcopy(BOARDS["pipeline"])
    inner: Any = board
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert list(problems(schema, board))


def test_should_be_for_the_grafana_that_compose_starts() -> None:
    image = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["image"]
    schemas = (Path(__file__).parent / "schemas" / "README.md").read_text()
    assert f"[@grafana/schema](https://www.npmjs.com/package/@grafana/schema) {image.partition(':')[2]} by" in schemas


def test_should_be_the_three_that_there_are() -> None:
    assert {name: board["uid"] for name, board in BOARDS.items()} == {
        "pipeline": "iot-pipeline-pipeline",
        "fleet": "iot-pipeline-fleet",
        "alerts": "iot-pipeline-alerts",
    }


@each_board
def test_should_show_utc_and_link_to_the_others(board: dict[str, Any]) -> None:
    assert board["timezone"] == "utc"
    assert board["tags"] == ["iot-pipeline"]
    (others,) = [link for link in board["links"] if link["type"] == "dashboards"]
    assert others["tags"] == board["tags"]
    assert others["includeVars"]
    assert others["keepTime"]


@each_board
def test_should_ask_through_the_viewers_data_sources(board: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    sources = {f"${{{name}}}": v["query"] for name, v in variables.items() if v["type"] == "datasource"}
    assert sources.items() <= {"${cloudwatch}": "cloudwatch", "${athena}": "grafana-athena-datasource"}.items()
    assert [option["value"] for option in variables["stage"]["options"]] == ["dev", "staging", "prod"]
    for panel in panels(board):
        for asked in (panel, *panel["targets"]):
            assert sources[asked["datasource"]["uid"]] == asked["datasource"]["type"]


@each_board
def test_should_use_only_variables_that_it_has(board: dict[str, Any]) -> None:
    has = {variable["name"] for variable in board["templating"]["list"]}
    text = json.dumps(board)
    used = set(re.findall(r"\$\{(\w+)(?::\w+)?\}", text)) | set(re.findall(r"\$(?!__)(\w+)", text))
    assert used - {"__value"} == has, "a variable is missing, or asked of viewers for nothing"


@each_board
def test_should_say_of_each_panel_what_it_shows_and_in_which_unit(board: dict[str, Any]) -> None:
    shown = panels(board)
    assert len({panel["title"] for panel in shown}) == len(shown)
    ids = [panel["id"] for panel in board["panels"]]
    assert ids == list(range(1, len(ids) + 1))
    for panel in shown:
        assert panel["description"], panel["title"]
        assert panel["type"] == "table" or "unit" in panel["fieldConfig"]["defaults"] or panel["title"] == "Active now"
        assert [t["refId"] for t in panel["targets"]] == [chr(ord("A") + i) for i in range(len(panel["targets"]))]


@each_board
def test_should_lay_panels_beside_each_other(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells


def test_should_lead_to_every_runbook() -> None:
    links = [link["url"] for board in BOARDS.values() for panel in panels(board) for link in panel.get("links", [])]
    named = {url.removeprefix("${runbooks}/") for url in links}
    assert named == {path.name for path in RUNBOOKS.glob("*.md")}


def test_should_know_where_the_runbooks_are() -> None:
    board = json.loads(documents("https://wiki.example.com/runbooks")["pipeline.json"])
    (variable,) = [v for v in board["templating"]["list"] if v["name"] == "runbooks"]
    assert variable["query"] == "https://wiki.example.com/runbooks"


def test_should_have_both_data_sources_provisioned() -> None:
    document = yaml.safe_load((PROVISIONED.parent / "datasources" / "aws.yaml").read_text())
    assert {source["type"] for source in document["datasources"]} == {"cloudwatch", "grafana-athena-datasource"}
    assert all(source["jsonData"]["authType"] == "default" for source in document["datasources"])
    assert "secureJsonData" not in str(document)


def test_should_provision_what_lies_beside_the_provider() -> None:
    (provider,) = yaml.safe_load((PROVISIONED / "iot-pipeline.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards"
    assert not provider["allowUiUpdates"]


def test_should_document_rights_that_are_only_to_read_and_to_ask() -> None:
    page = (ROOT / "docs" / "grafana.md").read_text()
    policy = json.loads(page.split("```json\n")[1].split("```")[0])
    actions = {action for statement in policy["Statement"] for action in statement["Action"]}
    writing = {"athena:StartQueryExecution", "athena:StopQueryExecution", "s3:AbortMultipartUpload", "s3:PutObject"}
    assert writing <= actions
    assert all(action.partition(":")[2].startswith(("Get", "List", "BatchGet")) for action in actions - writing)
    assert [s["Sid"] for s in policy["Statement"] if s["Resource"] == "*"] == ["Metrics"]
