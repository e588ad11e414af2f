"""The form of orders on alerts, as Streamlit runs it."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from dashboards.app import fetching
from dashboards.app.views import alerts
from pipeline import holds
from pipeline.alerts import Place

HOT = Place("gw-1", "hot", "too-hot", "3f2a9c01")


class Given:
    """Orders that are noted."""

    def __init__(self) -> None:
        self.orders: list[tuple[object, ...]] = []

    def hold(self, *order: object) -> None:
        self.orders.append(("hold", *order))

    def release(self, *order: object) -> None:
        self.orders.append(("release", *order))

    def close(self, *order: object) -> None:
        self.orders.append(("close", *order))


def form() -> None:
    from dashboards.app.pipeline_in_use import Source
    from dashboards.app.views import alerts
    from pipeline.alerts import Standing

    hot = Standing(
        alert_id="3f2a9c01", status="firing", severity="critical", rule="too-hot", device="hot", gateway="gw-1"
    )
    alerts._order(Source(aws=False, stage="dev"), [hot])


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    given = Given()
    # Streamlit runs the form as the main module, and leaves it there: processes that others spawn would run it too.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(alerts, "deployed", lambda _: SimpleNamespace())
    monkeypatch.setattr(alerts, "session", lambda: None)
    monkeypatch.setattr(fetching, "rules", lambda _: None)
    monkeypatch.setattr(fetching, "forget_standings", lambda: None)
    monkeypatch.setattr(holds, "open_orders", lambda *_, **_who: given)
    return given


def click(label: str, why: str) -> AppTest:
    page = AppTest.from_function(form).run()
    page.text_input(key="who").input("ann")
    page.text_input(key="why").input(why)
    (button,) = [button for button in page.button if button.label == label]
    return button.click().run()


@pytest.mark.parametrize(
    ("label", "order", "said"),
    [
        ("Acknowledge", ("hold", HOT, "acknowledged", "a reason", None), "Acknowledged"),
        ("End snooze", ("release", HOT, "snoozed", "a reason"), "No longer snoozed"),
        ("Close", ("close", HOT, "a reason"), "Closed"),
    ],
)
def test_should_give_the_order_of_the_button(given: Given, label: str, order: tuple[object, ...], said: str) -> None:
    page = click(label, "a reason")
    assert given.orders == [order]
    assert page.session_state["done"] == [(f"{said}: too\\-hot at hot", True)]


def test_should_ask_for_a_reason_before_it_closes(given: Given) -> None:
    page = click("Close", " ")
    assert given.orders == []
    assert page.session_state["done"] == [("Say who you are and why: others will read it.", False)]
