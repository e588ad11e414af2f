"""The dashboard in a real browser, over a filled pipeline: every page, filters, an alert that is acknowledged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import pytest

from local.emulator import free_port
from local.endpoint import local_environment
from tests.e2e.conftest import SCREENSHOTS, Running, page_of, watched
from tests.e2e.watching import Watched, wait_for_text
from tests.waiting import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: What each page must show once there are readings: a heading or a figure's name, and words of its charts.
SHOWN = {
    "Live": ("Alerts firing", "Sites"),
    "Fleet": ("Readings missing", "Devices, the least complete first"),
    "Device": ("Alerts in this time", "Rules that compare a value"),
    "Alerts": ("Acknowledge", "Snooze"),
    "Quality": ("Quarantine", "How late readings come", "Copies and losses"),
    "Pipeline": ("Behind the stream", "How fresh the tables are"),
}


@pytest.mark.parametrize("name", Watched.PAGES)
def test_should_show_each_page_of_a_filled_pipeline(window: Watched, filled: Running, name: str) -> None:
    hot = _active(filled, "too-hot")[0]["device"]
    content = window.open(f"device?device={hot}", name) if name == "Device" else window.visit(name)
    for words in SHOWN[name]:
        wait_for_text(content, words)
    window.picture(SCREENSHOTS / f"{name.lower()}.png")


@pytest.mark.parametrize(("scheme", "width", "kind"), [("dark", 1280, "dark"), ("light", 390, "phone")])
def test_should_be_legible_in_the_dark_and_on_a_phone(
    chromium: Browser, dashboard: str, scheme: Literal["light", "dark"], width: int, kind: str
) -> None:
    with watched(chromium, dashboard, scheme=scheme, width=width) as watch:
        for name in ("Live", "Device"):
            watch.visit(name)
            watch.picture(SCREENSHOTS / f"{name.lower()}-{kind}.png")
            widest = watch.page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
            assert widest <= width, f"{name} has to be moved sideways"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_should_have_no_finding_of_axe(chromium: Browser, dashboard: str, scheme: Literal["light", "dark"]) -> None:
    with watched(chromium, dashboard, scheme=scheme) as watch:
        for name in Watched.PAGES:
            watch.visit(name)
            assert watch.violations() == [], name


def test_should_be_told_by_axe_of_what_is_illegible(window: Watched) -> None:
    """The check can fail: grey on white is found."""
    window.visit("Fleet")
    window.page.evaluate("document.querySelector('h1').style.color = '#ddd'")
    assert any(found.startswith("color-contrast") for found in window.violations())


def test_should_show_what_the_tables_have_of_a_site(window: Watched, filled: Running) -> None:
    content = window.visit("Fleet")
    content.get_by_role("combobox", name="Sites").click()
    window.page.get_by_role("option", name="hamburg").click()
    window.page.keyboard.press("Escape")
    window.settle()
    (row,) = json.loads(
        filled.iot("query", "--json", "SELECT count(*) AS devices FROM device_health WHERE site = 'hamburg'")
    )
    shown = content.get_by_test_id("stMetric").filter(has_text="Devices").first
    wait_for_text(shown, str(row["devices"]))
    assert 0 < row["devices"] < 63


def test_should_draw_a_devices_alerts_and_the_thresholds_of_its_rules(window: Watched, filled: Running) -> None:
    hot = _active(filled, "too-hot")[0]
    content = window.open(f"device?device={hot['device']}", "Device")
    chart = content.get_by_test_id("stVegaLiteChart").first
    wait_for_text(chart, "too-hot: temperature > 40")
    wait_for_text(chart, "temperature, °C")
    wait_for_text(chart, "time, Europe/Prague")
    assert chart.locator(".mark-rect path").count() >= 1, "the alert's span is not shaded"


def test_should_show_times_in_the_chosen_zone(window: Watched) -> None:
    content = window.visit("Device")
    window.page.get_by_role("combobox", name="Time zone").click()
    window.page.keyboard.type("America/Chihuahua")
    window.page.keyboard.press("Enter")
    wait_for_text(content.get_by_test_id("stVegaLiteChart").first, "time, America/Chihuahua")


def test_should_acknowledge_an_alert_and_show_it(window: Watched, filled: Running) -> None:
    before = _active(filled, "too-hot")
    content = window.visit("Alerts")
    grid = content.get_by_test_id("stDataFrame").first
    canvas = grid.locator("canvas").first
    box = canvas.bounding_box()
    assert box is not None
    window.page.mouse.click(box["x"] + 20, box["y"] + 35 + 17)  # the first row's box, which is drawn, not an element
    acknowledge = content.get_by_role("button", name="Acknowledge")
    wait_for(acknowledge.is_enabled, "the button")
    content.get_by_label("Who").fill("tester")
    content.get_by_label("Why").fill("on my way")
    acknowledge.click()
    wait_for_text(grid.locator("table"), "acknowledged by tester: on my way")
    held = [one for one in _active(filled, "") if (one["hold"] or {}).get("who") == "tester"]
    assert [one["hold"]["kind"] for one in held] == ["acknowledged"]
    assert len(_active(filled, "too-hot")) == len(before)


def test_should_ask_for_a_reason_before_it_acknowledges(window: Watched) -> None:
    content = window.visit("Alerts")
    box = content.get_by_test_id("stDataFrame").first.locator("canvas").first.bounding_box()
    assert box is not None
    window.page.mouse.click(box["x"] + 20, box["y"] + 35 + 17)
    acknowledge = content.get_by_role("button", name="Acknowledge")
    wait_for(acknowledge.is_enabled, "the button")
    acknowledge.click()
    wait_for_text(content, "Say who you are and why")


def test_should_show_what_happened_to_alerts(window: Watched) -> None:
    content = window.visit("Alerts")
    content.get_by_role("tab", name="History").click()
    wait_for_text(content, "What happened, newest first")
    window.settle()
    assert window.violations() == []
    window.picture(SCREENSHOTS / "alerts-history.png")


def test_should_be_reached_and_used_by_the_keyboard(window: Watched) -> None:
    window.visit("Live")
    link = window.page.get_by_test_id("stSidebarNav").get_by_role("link", name="Fleet")
    window.focus_by_tab(link)
    window.page.keyboard.press("Enter")
    content = window.drawn("Fleet")
    window.focus_by_tab(content.get_by_role("combobox", name="Sites"))
    window.page.keyboard.press("ArrowDown")
    window.page.get_by_role("option").first.wait_for()
    window.page.keyboard.press("Enter")
    window.settle()
    window.focus_by_tab(content.get_by_test_id("stDataFrame").first)


def test_should_say_what_to_do_where_nothing_was_sent_yet(seen_empty: dict[str, str]) -> None:
    assert "No reading was seen in the last hour. Send some: iot simulate" in seen_empty["Live"]
    assert "No alert is active." in seen_empty["Alerts"]
    for name in ("Fleet", "Device", "Quality", "Pipeline"):
        assert "The curation fills them, on AWS every hour; on the local AWS: iot etl run" in seen_empty[name]


def test_should_say_what_to_do_when_aws_does_not_answer(chromium: Browser) -> None:
    stopped = local_environment(f"http://127.0.0.1:{free_port()}")
    with page_of(stopped) as address, watched(chromium, address) as watch:
        wait_for_text(watch.visit("Live"), "AWS does not answer.")
        assert "make demo" in watch.visit("Fleet").inner_text()


def _active(running: Running, rule: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(running.iot("alerts", "list", "--json"))
    return [one for one in found if rule in ("", one["rule"])]
