"""The report's pictures: SVG, the same from the same results, on white so that they can be read on any background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from benchmarks.report.results import Benchmark, Results, Scored
from evaluation.scoring import WANTED, nearest_rank

# Told apart by everybody: https://jfly.uni-koeln.de/color/
_OURS, _PEER, _FLOOR = "#0072B2", "#E69F00", "#999999"
_SERIES = ("#0072B2", "#E69F00", "#D55E00", "#CC79A7", "#999999")
_INK, _GRID = "#333333", "#E5E5E5"

#: Keeps the words on a line legible.
_ON_WHITE = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}

_Draw = Callable[[Results], Figure]


def pictures(found: Results) -> dict[str, str]:
    """Return the alternative text of each picture of these results, by its name."""
    return {name: _TITLES[name] for name in _DRAWN if _can(name, found)}


def draw(found: Results, folder: Path) -> None:
    """Write the pictures as ``<name>.svg``, and remove those of which nothing was measured."""
    # The same bytes from the same results, and letters that are letters.
    with mpl.rc_context({"svg.hashsalt": "report", "svg.fonttype": "none", "font.size": 8, "text.color": _INK}):
        for name, drawn in _DRAWN.items():
            path = folder / f"{name}.svg"
            if _can(name, found):
                drawn(found).savefig(path, metadata={"Date": None})
            else:
                path.unlink(missing_ok=True)


def _can(name: str, found: Results) -> bool:
    measured = {
        "throughput": bool(found.detector or found.curate or found.simulator),
        "etl-scaling": bool(found.curate),
        "latency": bool(found.latencies),
        "scores": bool(found.scores),
        "cost": bool(found.costs),
    }
    return measured[name]


def _throughput(found: Results) -> Figure:
    panels: list[tuple[str, Benchmark, dict[str, float]]] = []
    if found.detector:
        windows = found.detector.ours_with_windows
        also = {"ours + windows": windows} if windows else {}
        panels.append(("detector, readings/s of processor time", found.detector, also))
    panels += [(f"curation of {each.rows:,}, readings/s", each, {}) for each in list(found.curate.values())[-1:]]
    if found.simulator:
        title = "simulator to a file, readings/s of processor time"
        panels.append((title, found.simulator, found.simulator.ours_otherwise))
    rows = [2 + len(also) + len(each.peers) for _, each, also in panels]
    figure = Figure(figsize=(8, 0.55 * len(panels) + 0.24 * sum(rows)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=rows)[:, 0]
    for axis, (title, each, also) in zip(axes, panels, strict=True):
        _bars(axis, each, also)
        axis.set_title(title, loc="left", fontsize=9, color=_INK)
    return figure


def _bars(axis: Axes, benchmark: Benchmark, also: Mapping[str, float]) -> None:
    """A bar each, with the rate and how many times as fast ours is."""
    rates = {"ours": benchmark.ours, **also, **benchmark.peers, "floor": benchmark.floor}
    colours = [_OURS if name.startswith("ours") else _FLOOR if name == "floor" else _PEER for name in rates]
    bars = axis.barh(list(rates), list(rates.values()), color=colours, height=0.7)
    labels = [
        _in_short(value) + (f"   ours is {benchmark.ratios[name].median:.2g}x" if not name.startswith("ours") else "")
        for name, value in rates.items()
    ]
    axis.bar_label(bars, labels, padding=3, fontsize=7.5, color=_INK)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.25 * max(rates.values()))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.tick_params(axis="y", length=0)
    _plain(axis, "x")


def _in_short(value: float) -> str:
    """Three digits that count, as 1.28M."""
    return EngFormatter(sep="")(float(f"{value:.3g}"))


def _scaling(found: Results) -> Figure:
    figure = Figure(figsize=(8, 3), layout="constrained")
    speed, memory = figure.subplots(1, 2)
    runs = list(found.curate.values())
    names = ["ours", *runs[-1].peers, "floor"]
    for name, colour in zip(names, _SERIES, strict=False):
        thick = 2.2 if name == "ours" else 1.2
        style = "--" if name == "floor" else "-"
        rates = {each.rows: {"ours": each.ours, **each.peers, "floor": each.floor}.get(name) for each in runs}
        used = {each.rows: each.peak_memory_mb.get(name) for each in runs}
        for axis, values in ((speed, rates), (memory, used)):
            points = [(rows, value) for rows, value in values.items() if value]
            axis.plot(*zip(*points, strict=True), style, marker="o", markersize=3.5, color=colour, linewidth=thick,
                      label=name)  # fmt: skip
    for axis, title in ((speed, "readings/s"), (memory, "peak memory, MB")):
        axis.set_title(title, loc="left", fontsize=9, color=_INK)
        axis.set_xlabel("readings")
        _logarithmic(axis)
        axis.set_xticks([each.rows for each in runs])
    figure.legend(*speed.get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def _latency(found: Results) -> Figure:
    ordered = found.latencies
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axis = figure.subplots()
    # A quarter of a second wide, from nothing: what is waited for on purpose is seen to be.
    edges = [number / 4 for number in range(int(ordered[-1] * 4) + 2)]
    counts, _ = np.histogram(ordered, edges)
    bars = axis.bar(edges[:-1], counts, width=0.25, align="edge", color=_OURS, edgecolor="white", linewidth=0.5)
    axis.bar_label(bars, [f"{count:g}" if count else "" for count in counts], fontsize=7.5, color=_INK, bbox=_ON_WHITE)
    for q, words in ((0.5, "p50"), (0.95, "p95")):
        value = nearest_rank(ordered, q)
        axis.axvline(value, color=_SERIES[2], linewidth=1, linestyle="--" if q == 0.5 else ":",
                     label=f"{words} {value:.2f} s")  # fmt: skip
    axis.set_xlabel("seconds from sending the reading to the inbox, the group's wait included")
    axis.set_ylabel("alerts")
    axis.margins(y=0.15)
    axis.set_xlim(0, edges[-1] + 0.25)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(frameon=False, loc="upper left")
    _plain(axis, "y")
    return figure


def _scored(found: Results) -> Figure:
    figure = Figure(figsize=(8, 0.9 + 0.28 * len(found.scores)), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    measures: tuple[tuple[str, Callable[[Scored], float]], ...] = (
        ("precision", lambda each: each.total.precision),
        ("recall", lambda each: each.total.recall),
        ("notifications per fault", lambda each: each.total.per_fault),
    )
    for axis, (title, value) in zip(axes, measures, strict=True):
        values = [value(each) for each in found.scores]
        bars = axis.barh([each.name for each in found.scores], values, color=_OURS, height=0.65)
        axis.bar_label(bars, [f"{each:.2f}" for each in values], padding=2, fontsize=7.5, color=_INK, bbox=_ON_WHITE)
        axis.axvline(WANTED if title in ("precision", "recall") else 1, color=_SERIES[2], linewidth=1, linestyle="--")
        axis.set_xlim(0, 1.3 * max(1, *values))
        axis.set_title(title, loc="left", fontsize=9, color=_INK)
        axis.tick_params(axis="y", length=0)
        _plain(axis, "x")
    axes[0].invert_yaxis()
    return figure


def _cost(found: Results) -> Figure:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axis = figure.subplots()
    plans = list(found.costs.values())
    devices = [each.devices for each in plans]
    for name, colour in zip(plans[-1].usd, _SERIES, strict=False):
        axis.plot(devices, [each.usd[name] for each in plans], marker="o", markersize=3.5, color=colour,
                  linewidth=2.2 if name == "ours" else 1.2, label=name)  # fmt: skip
    axis.set_xlabel("devices")
    axis.set_ylabel("USD a month")
    _logarithmic(axis)
    axis.legend(frameon=False)
    return figure


def _logarithmic(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_locator(LogLocator(subs=(1, 2, 5)))
        each.set_major_formatter(EngFormatter(sep=""))
        each.set_minor_formatter(NullFormatter())
    _plain(axis, "both")


def _plain(axis: Axes, grid: str) -> None:
    axis.grid(visible=True, axis=grid, color=_GRID, linewidth=0.6)  # type: ignore[arg-type]
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


_DRAWN: dict[str, _Draw] = {
    "throughput": _throughput,
    "etl-scaling": _scaling,
    "latency": _latency,
    "scores": _scored,
    "cost": _cost,
}

_TITLES = {
    "throughput": "Readings per second of detector, curation and simulator, beside their peers and the floor",
    "etl-scaling": "The curation's rate and memory against the number of readings, beside its peers and the floor",
    "latency": "How many alerts took how long from the reading to the inbox",
    "scores": "Precision, recall and notifications per fault of each scenario",
    "cost": "Cost a month against the number of devices",
}
