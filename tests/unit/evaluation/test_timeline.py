"""Which rows a picture of a score has, and that it is drawn."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from evaluation.matching import Told, Verdict
from evaluation.scoring import NOTHING, score
from evaluation.timeline import draw
from evaluation.timeline_rows import MAX_ROWS, Rows, rows
from simulator.faults.truth import InjectedFault

NOON = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
END = NOON + dt.timedelta(hours=1)


def at(minutes: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minutes)


def fault(device: str = "d1", number: int = 1, **fields: Any) -> InjectedFault:
    usual: dict[str, Any] = {
        "id": f"{number}-{device}", "kind": "drift", "site": "s1", "gateway": "gw", "metric": "temperature",
        "since": at(10), "until": at(40), "expects": ("too-hot",),
    }  # fmt: skip
    return InjectedFault(**{**usual, **fields}, device=device, number=number)


def verdict(about: InjectedFault | None, *, device: str = "", true: bool = True, minute: float = 12) -> Verdict:
    place = about.device if about else device
    alert = Told(f"a-{place}-{minute}", "too-hot", "s1", "gw", place, at(minute), at(30), at(minute), "n")
    return Verdict(alert, about, true)


def many(count: int, **fields: Any) -> list[InjectedFault]:
    return [fault(f"d{number:04}", **fields) for number in range(count)]


def labels(found: Rows) -> list[str]:
    return [row.label for row in found.shown]


def test_should_have_a_row_for_each_fault_with_the_alerts_about_it() -> None:
    first, second = fault("d1"), fault("d2")
    found = rows([first, second], [verdict(first), verdict(first, minute=20), verdict(second)])
    assert [(row.label, row.kind, len(row.alerts), row.outcome) for row in found.shown] == [
        ("d1", "drift", 2, "found"),
        ("d2", "drift", 1, "found"),
    ]
    assert found.left_out == 0


def test_should_say_what_was_missed_and_what_was_to_be_quiet_about() -> None:
    told, untold, half = fault("d1"), fault("d2"), fault("d3", expects=("too-hot", "broken"))
    quiet = fault("d4", expects=())
    found = rows([told, untold, half, quiet], [verdict(told), verdict(half), verdict(quiet, true=False)])
    assert {row.label: row.outcome for row in found.shown} == {
        "d1": "found", "d2": "missed", "d3": "missed", "d4": "quiet",
    }  # fmt: skip


def test_should_name_a_row_by_what_was_affected() -> None:
    gateway = fault("", 2, id="2-gw", kind="gateway_down")
    site = fault("", 3, id="3-s1", kind="site_outage", gateway="")
    assert labels(rows([fault("d1"), gateway, site], [])) == ["d1", "gw", "s1"]


def test_should_show_faults_in_their_order_and_in_each_what_was_told_first() -> None:
    late, soon, other = fault("a"), fault("b"), fault("c", 2, since=at(0))
    found = rows([other, late, soon], [verdict(late, minute=20), verdict(soon, minute=11), verdict(other, minute=1)])
    assert labels(found) == ["b", "a", "c"]


def test_should_show_alerts_that_nothing_explains_at_the_end_by_their_place() -> None:
    alerts = [verdict(None, device="x", true=False), verdict(None, device="x", true=False, minute=15)]
    found = rows([fault()], [verdict(fault()), *alerts])
    assert [(row.label, row.kind, len(row.alerts)) for row in found.shown] == [("d1", "drift", 1), ("x", NOTHING, 2)]


@pytest.mark.parametrize("kind", ["duplicate", "late", "malformed"])
def test_should_have_one_row_for_what_affects_all_devices_lines(kind: str) -> None:
    found = rows(many(200, kind=kind, metric="", expects=()), [])
    assert [(row.label, row.outcome, len(row.faults)) for row in found.shown] == [("200 devices", "quiet", 200)]


def test_should_say_how_many_gateways_or_sites_share_a_row() -> None:
    gateways = [fault("", id=f"{n}", gateway=f"gw-{n}", expects=()) for n in range(3)]
    sites = [fault("", 2, id=f"s-{n}", gateway="", site=f"s{n}", expects=()) for n in range(4)]
    assert labels(rows([*gateways, *sites], [])) == ["3 gateways", "4 sites"]


def test_should_have_rows_of_their_own_for_the_few_with_which_something_is_wrong() -> None:
    faults = many(200)
    right = [verdict(each) for each in faults[2:]]
    false = verdict(faults[5], true=False, minute=20)
    found = rows(faults, [*right, false])
    assert sorted(labels(found)) == ["197 devices", "d0000", "d0001", "d0005"]
    assert {row.label: row.outcome for row in found.shown}["d0001"] == "missed"


def test_should_not_fill_the_picture_with_what_went_wrong_the_same_way() -> None:
    missed = many(3000)
    healthy = [verdict(None, device=f"x{number}", true=False) for number in range(500)]
    found = rows([*missed, fault("other", 2)], healthy)
    assert labels(found) == ["3,000 devices", "other", "500 places"]
    assert [row.outcome for row in found.shown] == ["missed", "missed", "quiet"]
    assert found.left_out == 0


def test_should_leave_out_the_least_telling_rows_and_say_how_many() -> None:
    found_ones = [fault(f"found-{number}", number) for number in range(1, 60)]
    missed = [fault(f"missed-{number}", number) for number in range(60, 65)]
    quiet = fault("quiet", 65, expects=())
    chosen = rows([*found_ones, *missed, quiet], [verdict(each) for each in found_ones])
    assert len(chosen.shown) == MAX_ROWS
    assert chosen.left_out == 59 + 5 + 1 - MAX_ROWS
    assert {f"missed-{number}" for number in range(60, 65)} <= set(labels(chosen))
    assert "quiet" not in labels(chosen)


def _draw(path: Path, faults: list[InjectedFault], verdicts: list[Verdict]) -> None:
    draw(faults, verdicts, score(faults, [], END), path, title="a title")


def test_should_write_a_png(tmp_path: Path) -> None:
    _draw(tmp_path / "a.png", [fault()], [verdict(fault())])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_should_write_an_svg_that_says_what_there_is_to_see(tmp_path: Path) -> None:
    faults = [fault("d1"), fault("d2", 2, kind="gateway_down", expects=()), *many(90, number=3)]
    _draw(tmp_path / "a.svg", faults, [verdict(faults[0]), verdict(None, device="x", true=False)])
    svg = ElementTree.parse(tmp_path / "a.svg")
    words = {"".join(element.itertext()) for element in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert words >= {"d1", "d2", "x", "90 devices", "1 drift", "2 gateway down, to be quiet about", "nothing injected"}
    assert words >= {"injected, missed", "false alert", "UTC"}
    heading = next(each for each in words if each.startswith("a title"))
    assert "precision 1.00, recall 0.00 (0 of 91 found, 0 false), 0.00 notifications per fault" in heading


def test_should_say_in_the_picture_how_many_rows_are_left_out(tmp_path: Path) -> None:
    _draw(tmp_path / "a.svg", [fault(f"d{number}", number) for number in range(1, 60)], [])
    assert f"UTC; {59 - MAX_ROWS} more rows are left out" in (tmp_path / "a.svg").read_text()


def test_should_draw_the_same_twice(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        _draw(tmp_path / name, [fault()], [verdict(fault())])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_should_draw_that_nothing_happened(tmp_path: Path) -> None:
    _draw(tmp_path / "a.svg", [], [])
    assert "nothing was injected, and nothing told" in (tmp_path / "a.svg").read_text()


def test_should_refuse_what_is_neither_png_nor_svg(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        _draw(tmp_path / "a.jpeg", [fault()], [])
    assert list(tmp_path.iterdir()) == []
