"""Every link in the documents that leads to a file, a folder or a heading of ours leads there; files named exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [path.name for path in sorted(ROOT.iterdir()) if path.is_dir() and not path.name.startswith((".", "build"))]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SPAN = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\(\s*<?(?P<target>[^\s)>]+)>?[^)]*\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$", re.MULTILINE)
_BLOCK = re.compile(r"^(?P<fence>```+).*?^(?P=fence)", re.MULTILINE | re.DOTALL)


def links(text: str) -> Iterator[str]:
    """The targets of a page's links and images that are not on the web. Code and comments have none."""
    for link in _LINK.finditer(_SPAN.sub("", _prose(text))):
        if not re.match(r"[a-z][a-z0-9+.-]*:", link["target"]):
            yield link["target"]


def files(text: str) -> Iterator[str]:
    """The files of ours that a page names in code, by their path from the root."""
    for span in _SPAN.findall(_prose(text)):
        yield from re.findall(rf"^`((?:{'|'.join(FOLDERS)})/[\w./-]+\.(?:md|py|sh|sql|ya?ml))`$", span)


def _prose(text: str) -> str:
    return _BLOCK.sub("", _COMMENT.sub("", text))


def anchors(text: str) -> set[str]:
    """What a page's headings are called in links, as GitHub does it."""
    found: set[str] = set()
    for heading in _HEADING.finditer(_BLOCK.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading["text"])
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number = 0
        while (numbered := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(numbered)
    return found


def broken(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere."""
    return [target for target in links(text) if not _leads_somewhere(target, page, text)]


def _leads_somewhere(target: str, page: Path, text: str) -> bool:
    path, _, anchor = unquote(target).partition("#")
    file = page.parent / path
    if path and not file.exists():
        return False
    if path and file.suffix == ".md":
        text = file.read_text()
    elif path:
        return True
    return not anchor or anchor in anchors(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_should_lead_somewhere_from(page: Path) -> None:
    assert broken(page, page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_should_name_files_that_there_are_in(page: Path) -> None:
    assert [name for name in files(page.read_text()) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("target", "leads"),
    [
        ("README.md", True),
        ("docs/adr", True),
        ("docs/alerting.md#what-it-costs", True),
        ("#how-it-works", True),
        ("https://example.com/nowhere", True),
        ("docs/nowhere.md", False),
        ("docs/alerting.md#nowhere", False),
        ("#nowhere", False),
    ],
)
def test_should_tell_a_link_that_leads_nowhere_from(target: str, *, leads: bool) -> None:
    text = f"# How it works\n\nas [it\nis]({target}), `[not]({target}x)`\n"
    page = ROOT / "README.md"

    assert broken(page, text) == ([] if leads else [target])


def test_should_find_the_files_that_a_page_names() -> None:
    text = "`tests/gone.py`, `cdk/app.py` <!-- `docs/later.md` --> `no/tests/x.py` `pip`\n```\n`docs/x.md`\n```\n"

    assert list(files(text)) == ["tests/gone.py", "cdk/app.py"]


def test_should_name_headings_as_github_does() -> None:
    text = "# Time, and *how* [late](x.md)\n```\n# no heading\n```\n## `for`: a_b\n## Time, and how late\n"

    assert anchors(text) == {"time-and-how-late", "for-a_b", "time-and-how-late-1"}
