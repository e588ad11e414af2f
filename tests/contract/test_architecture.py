"""What docs/architecture.md says of stacks, roles, packages, tables and runbooks is what there is. Diagrams parse."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import grimp
import pytest
from aws_cdk.assertions import Template

from pipeline.names import Service, StackPart
from telemetry.tables.lake import TABLES
from tests.infra.conftest import app_for, templates_for
from tests.infra.permissions import Permissions, listed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
MERMAID = ROOT / "node_modules" / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"

#: What the page calls the users of roles.
ROLES = {
    "detector": "alerts.Detector",
    "watchdog": "alerts.Watchdog",
    "notifier": "alerts.Notifier",
    "curate": "batch.Curate",
    "Firehose (raw)": "ingest.Delivery",
    "Firehose (alerts)": "alerts.Delivery",
}


class Diagram(NamedTuple):
    """A mermaid block: the page, the number of its first line, and its text."""

    page: str
    line: int
    text: str


def _diagrams(page: Path) -> Iterator[Diagram]:
    text = page.read_text()
    for block in re.finditer(r"^```mermaid\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Diagram(page.relative_to(ROOT).as_posix(), text.count("\n", 0, block.start()) + 2, block[1])


DIAGRAMS = [found for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) for found in _diagrams(page)]


def section(title: str) -> str:
    """The page's section under that heading."""
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", ARCHITECTURE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def arrows(title: str) -> set[tuple[str, str]]:
    """From where to where the arrows of the section's flowchart lead."""
    return set(re.findall(r"^ +(\w+) --> (\w+)$", section(title), re.MULTILINE))


def rows(title: str, header: str) -> list[list[str]]:
    """The cells of the section's table with that first column."""
    (table,) = re.findall(rf"^\| {header} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", section(title), re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    return templates_for(app_for())


def test_should_name_every_stack_and_function() -> None:
    described = " ".join(" ".join(row) for row in rows("Stacks", "stack"))

    for name in (*get_args(StackPart), *get_args(Service)):
        assert f"`iot-<stage>-{name}`" in described


def test_should_draw_which_stack_imports_from_which(templates: dict[str, Template]) -> None:
    imports = {
        (part, exporter)
        for part, template in templates.items()
        for exporter in re.findall(r'"Fn::ImportValue": "iot-dev-(\w+):', json.dumps(template.to_json()))
    }

    assert arrows("Stacks") == imports


def test_should_say_what_each_role_may(templates: dict[str, Template]) -> None:
    permissions = Permissions(templates)
    said: dict[str, set[str]] = {user: set() for user in ROLES.values()}
    names = ""
    for role, actions, _ in rows("Who may do what", "role of"):
        names = role or names
        service = ""
        for prefix, action in re.findall(r"`(?:(\w+):)?(\w+)`", actions):
            service = prefix or service
            for name in names.split(", "):
                said[ROLES[name]].add(f"{service}:{action}")

    allowed = {user: {*_actions(permissions, user)} for user in permissions.users}
    assert said == allowed


def _actions(permissions: Permissions, user: str) -> Iterator[str]:
    for statement in permissions._statements(user):
        yield from listed(statement["Action"])


def test_should_draw_where_imports_may_lead() -> None:
    drawn = arrows("Packages")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = contracts["root_packages"]
    graph = grimp.build_graph(*packages, cache_dir=None)
    imports = {
        (importer.partition(".")[0], imported.partition(".")[0])
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    between = {(importer, imported) for importer, imported in imports if importer != imported}

    assert {name for arrow in drawn for name in arrow} == set(packages)
    assert drawn <= between
    assert {(a, b) for a, b in between if b not in _reached(a, drawn)} == set()


def _reached(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    following = {start}
    while following:
        following = {head for tail, head in arrows if tail in following} - found
        found |= following
    return found


def test_should_say_what_each_package_is() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

    assert {row[0].strip("`") for row in rows("Packages", "package")} == set(contracts["root_packages"])


def test_should_draw_tables_that_there_are_with_columns_that_they_have() -> None:
    columns = {table.name: {(column.type, column.name) for column in table.columns} for table in TABLES}
    entities = re.findall(r"^    (\w+) \{\n(.*?)^    \}", section("The tables"), re.MULTILINE | re.DOTALL)

    assert entities
    for name, entity in entities:
        assert set(re.findall(r"^ +(\w+) (\w+)$", entity, re.MULTILINE)) <= columns[name]


def test_should_lead_to_every_runbook() -> None:
    linked = re.findall(r"\(runbooks/([\w-]+)\.md\)", section("When something fails"))

    assert set(linked) == {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")}


@pytest.fixture(scope="module")
def browser_page(chromium: Browser) -> Page:
    """A page with mermaid in it, which parses nothing without a DOM."""
    page = chromium.new_page()
    page.add_script_tag(path=MERMAID)
    return page


@pytest.mark.parametrize("diagram", DIAGRAMS, ids=lambda diagram: f"{diagram.page}:{diagram.line}")
def test_should_parse(diagram: Diagram, browser_page: Page) -> None:
    _parse(browser_page, diagram.text)


def test_should_tell_a_diagram_that_does_not_parse(browser_page: Page) -> None:
    with pytest.raises(Exception, match="Parse error on line 2"):
        _parse(browser_page, "flowchart LR\n    a -- b --> --> c\n")


def _parse(page: Page, text: str) -> Any:
    return page.evaluate("text => mermaid.parse(text)", text)
