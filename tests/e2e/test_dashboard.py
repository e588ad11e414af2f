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
    "Quality": ("Quarantine", "Lateness", "Copies and losses"),
    "Pipeline": ("Behind the stream", "Freshness of the tables"),
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
    window.choose("Sites", "hamburg")
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
    name = _tick_first(window)
    acknowledge = content.get_by_role("button", name="Acknowledge")
    content.get_by_label("Who").fill("tester")
    content.get_by_label("Why").fill("on my *way*")
    acknowledge.click()
    wait_for_text(content.get_by_test_id("stDataFrame").first.locator("table"), "acknowledged by tester: on my *way*")
    held = [one for one in _active(filled, "") if (one["hold"] or {}).get("who") == "tester"]
    assert [(one["hold"]["kind"], f"{one['rule']} at {one['device']}") for one in held] == [("acknowledged", name)]
    assert len(_active(filled, "too-hot")) == len(before)


def test_should_order_what_the_form_names_although_the_list_has_changed(window: Watched, filled: Running) -> None:
    """Another viewer's filter, an alert that ends: the rows are others then, the ticked alert is the same."""
    content = window.visit("Alerts")
    name = _tick_first(window)
    device = name.removeprefix("too-hot at ")
    (site,) = [one["site"] for one in _active(filled, "too-hot") if one["device"] == device]
    window.choose("Site", site)
    wait_for_text(content.get_by_test_id("stForm"), name)
    content.get_by_label("Who").fill("second")
    content.get_by_label("Why").fill("it is the same one")
    content.get_by_role("button", name="Snooze", exact=True).click()
    wait_for(lambda: _held_by(filled, "second") == [device], "the order")


def test_should_keep_what_is_being_typed_while_the_alerts_refresh(window: Watched) -> None:
    content = window.visit("Alerts")
    name = _tick_first(window)
    content.get_by_label("Why").press_sequentially("half a")
    refreshed = window.next_refresh()
    wait_for(refreshed, "a refresh")
    window.settle()
    content.get_by_label("Why").press_sequentially(" reason")
    assert content.get_by_label("Why").input_value() == "half a reason"
    assert name in content.get_by_test_id("stForm").inner_text()


def test_should_ask_for_a_reason_before_it_acknowledges(window: Watched) -> None:
    content = window.visit("Alerts")
    _tick_first(window)
    content.get_by_role("button", name="Acknowledge").click()
    wait_for_text(content, "Say who you are and why")


def test_should_open_a_device_from_the_fleet_and_go_back(window: Watched) -> None:
    content = window.visit("Fleet")
    window.tick_first_row(content.get_by_test_id("stDataFrame").first)
    content.get_by_role("link", name="Readings of").click()
    window.drawn("Device")
    first = window.address_now()
    assert "device=" in first
    content.get_by_role("combobox", name="Device").click()
    window.page.get_by_role("option").nth(3).click()
    wait_for(lambda: window.address_now() != first, "the other device's address")
    window.settle()
    window.page.go_back()
    wait_for(lambda: window.address_now() == first, "the first device's address")
    window.settle()
    wait_for(lambda: content.get_by_role("combobox", name="Device").input_value() in first, "the first device")


def test_should_forget_the_row_that_was_chosen_when_the_list_is_another(window: Watched) -> None:
    content = window.visit("Fleet")
    window.tick_first_row(content.get_by_test_id("stDataFrame").first)
    content.get_by_role("link", name="Readings of").wait_for()
    window.settle()
    window.choose("Models", "outdoor")
    wait_for(lambda: content.get_by_role("link", name="Readings of").count() == 0, "no device is chosen")


def test_should_show_a_name_from_the_address_as_it_is(window: Watched) -> None:
    """It is not Markdown, and a picture in it is not fetched."""
    content = window.open("device?device=![x](http://192.0.2.1/p.png)**b**", "Device")
    wait_for_text(content, "![x](http://192.0.2.1/p.png)**b** sent nothing in the last 30 days")
    assert content.locator("img").count() == 0


def test_should_show_what_happened_to_alerts(window: Watched) -> None:
    content = window.visit("Alerts")
    content.get_by_role("radio", name="History").click()
    wait_for_text(content, "Changes, newest first")
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


def _tick_first(window: Watched) -> str:
    """Tick the first alert that is too hot; its name, as the form says it."""
    content = window.page.get_by_test_id("stMainBlockContainer")
    window.choose("Rule", "too-hot")
    window.tick_first_row(content.get_by_test_id("stDataFrame").first)
    wait_for(content.get_by_role("button", name="Acknowledge").is_enabled, "the button")
    return content.get_by_test_id("stForm").locator("strong").first.inner_text()


def _held_by(running: Running, who: str) -> list[str]:
    return [one["device"] for one in _active(running, "") if (one["hold"] or {}).get("who") == who]


def _active(running: Running, rule: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(running.iot("alerts", "list", "--json"))
    return [one for one in found if rule in ("", one["rule"])]
