"""A browser's window on the dashboard, and all that goes wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from local.emulator import ROOT
from tests.waiting import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page, Request

_AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

#: Streamlit asks for these below the address of the page it was opened at first, and then finds them at the root:
#: https://github.com/streamlit/streamlit/issues/9065
_ASKED_AT_THE_WRONG_PLACE = ("/_stcore/health", "/_stcore/host-config")


class Watched:
    """Walks through the pages as a person does, and notes what the console says."""

    PAGES: ClassVar = ("Live", "Fleet", "Device", "Alerts", "Quality", "Pipeline")

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        #: Errors in the console, uncaught ones, and requests that went anywhere else or failed.
        self.errors: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        where = str(message.location.get("url", ""))
        if message.type == "error" and not where.endswith(_ASKED_AT_THE_WRONG_PLACE):
            self.errors.append(f"{message.text} ({where})")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, self.address.replace("http", "ws"), "data:", "blob:")):
            self.errors.append(f"asked {request.url}")

    def visit(self, name: str) -> Locator:
        """Go to a page by its link, wait until it is drawn, and give its content."""
        if self.page.url == "about:blank":
            self.page.goto(self.address)
            if name == "Live":
                return self.drawn(name)
            self.drawn("Live")
        links = self.page.get_by_test_id("stExpandSidebarButton")
        if links.is_visible():  # on a phone
            links.click()
        self.page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
        return self.drawn(name)

    def open(self, path: str, name: str) -> Locator:
        """Go to an address below the page's, wait until it is drawn, and give its content."""
        self.page.goto(f"{self.address}/{path}")
        return self.drawn(name)

    def drawn(self, name: str) -> Locator:
        """Wait until a page is there and nothing is under way."""
        self.page.get_by_role("heading", name=name, exact=True, level=1).wait_for()
        self.settle()
        content = self.page.get_by_test_id("stMainBlockContainer")
        assert content.get_by_test_id("stException").count() == 0, content.inner_text()
        return content

    def settle(self) -> None:
        """Wait until Streamlit runs nothing and all charts are drawn."""
        app = self.page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
        app.wait_for()
        self.page.wait_for_function("!document.querySelector('[data-testid=stSpinner], [data-testid=stSkeleton]')")
        self.page.wait_for_function(
            """[...document.querySelectorAll('[data-testid=stVegaLiteChart]')].every(
                chart => chart.offsetParent === null || chart.querySelector('svg, canvas'))"""
        )

    def address_now(self) -> str:
        """What stands in the address bar; ``page.url`` is what Playwright last heard."""
        return str(self.page.evaluate("location.href"))

    def choose(self, label: str, option: str) -> None:
        """Add an option to a selection of several; by the keyboard, for a menu shuts when the page scrolls under it."""
        box = self.page.get_by_role("combobox", name=label, exact=True)
        box.focus()
        self.page.keyboard.type(option)
        self.page.get_by_role("option", name=option).wait_for()
        self.page.keyboard.press("Enter")
        self.page.keyboard.press("Escape")
        self.settle()

    def tick_first_row(self, table: Locator) -> None:
        """Tick the box of a table's first row, which is drawn on a canvas and is no element."""
        table.scroll_into_view_if_needed()
        box = table.locator("canvas").first.bounding_box()
        assert box is not None
        self.page.mouse.click(box["x"] + 20, box["y"] + 35 + 17)

    def next_refresh(self) -> Callable[[], bool]:
        """Whether the page has refreshed by itself since the call."""
        began: list[bool] = []
        self.page.expose_function("refreshed", lambda: began.append(True))
        self.page.evaluate(
            """() => new MutationObserver(() => {
                if (document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'running') refreshed()
            }).observe(document.querySelector('[data-testid=stApp]'), {attributes: true})"""
        )

        def refreshed() -> bool:
            self.page.wait_for_timeout(100)  # the browser's calls come while Playwright waits
            return bool(began)

        return refreshed

    def picture(self, file: Path) -> None:
        """The whole page as a picture, however long it is."""
        file.parent.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size
        assert size is not None
        length = self.page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        self.page.set_viewport_size({"width": size["width"], "height": max(int(length), size["height"])})
        self.page.wait_for_timeout(500)  # what is drawn by the size is drawn again; nothing says when
        self.page.screenshot(path=file)
        self.page.set_viewport_size(size)

    def violations(self) -> list[str]:
        """What axe finds against WCAG 2 A and AA, contrast too: the rule, and where."""
        self.page.add_script_tag(path=_AXE)
        found: dict[str, Any] = self.page.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
        )
        return [
            f"{violation['id']}: {node['html'][:300]} {node['any'][0]['message'] if node['any'] else ''}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    def focus_by_tab(self, wanted: Locator, most: int = 60) -> None:
        """Press the tabulator until an element has the focus; fails if it never has."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if wanted.evaluate(
                "element => element === document.activeElement || element.contains(document.activeElement)"
            ):
                return
        raise AssertionError(f"{wanted} cannot be reached by the keyboard")


def wait_for_text(content: Locator, text: str) -> None:
    """Until the content has a text."""
    wait_for(lambda: text in content.inner_text(), repr(text))
