"""How a score looks: the verdict, a table by fault kind and one by rule, and what was confused with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.rendering.console import out
from evaluation.scoring import MOST_NOTIFICATIONS, WANTED

if TYPE_CHECKING:
    from evaluation.scoring import Delays, Figures, Score

#: How many missed and false alerts are named.
_NAMED = 5


def print_score(result: Score, title: str, console: Console = out, *, paced: bool = True) -> None:
    """The whole result of one run; ``paced`` is whether it says anything about how soon things were told."""
    console.print(verdict(result, title), soft_wrap=True)
    if not (result.faults or result.total.false):
        return
    _print_figures("fault", result.by_kind, console, paced=paced)
    _print_figures("rule", result.by_rule, console, paced=paced)
    _print_confusion(result, console)
    for words, found in (("missed", result.missed), ("false", result.false)):
        for line in found[:_NAMED]:
            console.print(f"{words}  {line}", style="red", markup=False, soft_wrap=True)
        if len(found) > _NAMED:
            console.print(f"{words}  and {len(found) - _NAMED:,} more", style="red")


def verdict(result: Score, title: str) -> str:
    """One line: how good it is."""
    total = result.total
    word = "[green]good[/]" if result.good else "[bold red]not good[/]"
    return (
        f"[bold]{escape(title)}[/]: {word}: precision {total.precision:.2f}, recall {total.recall:.2f} "
        f"({total.found:,} of {total.expected:,} found, {total.false:,} false), "
        f"{total.per_fault:.2f} notifications per fault, {result.messages:,} in all"
    )


def print_scores(results: Mapping[str, Score], console: Console = out) -> None:
    """One line each for several scenarios."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("scenario")
    for name in ("faults", "expected", "found", "false", "precision", "recall", "fires after\np50, p95",
                 "told after\np50, p95", "messages\nper fault", "false\nresolves", ""):  # fmt: skip
        table.add_column(name, justify="right")
    for name, result in results.items():
        total = result.total
        table.add_row(
            name, f"{result.faults:,}", f"{total.expected:,}", f"{total.found:,}", f"{total.false:,}",
            f"{total.precision:.3f}", f"{total.recall:.3f}", _delays(total.fires_after), _delays(total.told_after),
            f"{total.per_fault:.2f}", f"{total.false_resolves:,}",
            "[green]good[/]" if result.good else "[bold red]not good[/]",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"good: precision and recall of at least {WANTED:g}, {MOST_NOTIFICATIONS:g} notification per fault at most",
        style="dim",
    )


def _print_figures(what: str, by_name: Mapping[str, Figures], console: Console, *, paced: bool) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(what)
    for name in ("expected", "found", "false", "precision", "recall", "fires after\np50, p95"):
        table.add_column(name, justify="right")
    if paced:
        table.add_column("told after\np50, p95", justify="right")
    for name in ("notifications\nper fault", "false\nresolves"):
        table.add_column(name, justify="right")
    for name, figures in by_name.items():
        if figures.expected or figures.false:
            table.add_row(
                name, f"{figures.expected:,}", f"{figures.found:,}", f"{figures.false:,}",
                f"{figures.precision:.3f}", f"{figures.recall:.3f}", _delays(figures.fires_after),
                *([_delays(figures.told_after)] if paced else []),
                f"{figures.per_fault:.2f}", f"{figures.false_resolves:,}",
            )  # fmt: skip
    if table.row_count:
        console.print(table)


def _print_confusion(result: Score, console: Console) -> None:
    rules = sorted({name for row in result.confusion.values() for name in row} - {"missed", "quiet"})
    table = Table(title="What was told of what", title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("fault")
    for name in (*rules, "missed", "quiet"):
        table.add_column(name, justify="right")
    for kind, row in result.confusion.items():
        table.add_row(kind, *(f"{row[name]:,}" if name in row else "-" for name in (*rules, "missed", "quiet")))
    console.print(table)


def _delays(delays: Delays) -> str:
    return "-" if delays.p50 is None or delays.p95 is None else f"{_time(delays.p50)}, {_time(delays.p95)}"


def _time(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds < 120 else f"{seconds / 60:.0f}m"
