"""How rules, their tests and backtests look to a person."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.rendering.console import out
from telemetry.rules.rule_set import Rule
from telemetry.text.durations import format_duration

if TYPE_CHECKING:
    from evaluation.backtest import Backtest
    from evaluation.rule_tests import Outcome, Row

#: How many days a table shows: the last of them.
_MAX_DAYS = 31


def line(rule: Rule) -> str:
    """A rule on one line."""
    held = f" for {format_duration(rule.hold_for)}" if rule.hold_for else ""
    until = "readings arrive again" if rule.no_data else str(rule.clear)
    kept = f" for {format_duration(rule.keep_firing_for)}" if rule.keep_firing_for else ""
    match = (("device", rule.device), ("site", rule.site), *rule.attributes)
    return f"{rule.name:<24} {rule.severity:<8} when {rule.when}{held}, until {until}{kept}; " + ", ".join(
        f"{name} {glob}" for name, glob in match
    )


def as_help(docstring: str) -> str:
    """What a docstring says after its first line, as a verb's help: literal blocks keep their lines, prose flows."""
    _, *paragraphs = docstring.strip().split("\n\n")
    return "\n\n".join(
        f"\b\n{escape(textwrap.dedent(text))}"
        if text.startswith(" ")
        else escape(text.replace("``", '"').replace("\n", " "))
        for text in paragraphs
        if text != "::"
    )


def print_outcomes(outcomes: Sequence[Outcome], *, console: Console = out) -> None:
    """How each test ended; of one that failed, what was expected beside what was seen."""
    for outcome in outcomes:
        if outcome.passed:
            console.print(f"[green]passed[/]  {escape(outcome.name)}")
        else:
            console.print(f"[bold red]failed[/]  {escape(outcome.name)}")
            console.print(_differences(outcome.rows))
    failed = sum(not outcome.passed for outcome in outcomes)
    console.print(f"{len(outcomes) - failed} passed, {failed} failed")


def _differences(rows: Sequence[Row]) -> Table:
    table = Table(header_style="bold")
    for column in ("", "at", "", "expected", "seen"):
        table.add_column(column, overflow="fold")
    for row in rows:
        mark = "" if row.agrees else "≠" if row.expected and row.seen else "-" if row.expected else "+"
        table.add_row(
            mark,
            format_duration(row.at),
            row.kind,
            escape(str(row.expected or "nothing")),
            escape(str(row.seen or "nothing")),
            style="dim" if row.agrees else "red" if row.expected else "yellow",
        )
    return table


def print_backtest(
    result: Backtest, start: dt.datetime, end: dt.datetime, seconds: float, *, console: Console = out
) -> None:
    """A backtest as tables."""
    console.print(
        f"[bold]{result.readings:,} readings[/] of {result.devices:,} devices from {start:%Y-%m-%d %H:%M} to "
        f"{end:%Y-%m-%d %H:%M} UTC, in {seconds:.1f} s ({result.readings / seconds:,.0f} readings/s)"
    )
    table = _table(
        "Alerts by rule", "rule", "alerts", "flapping", "open", "median", "live", "both", "only new", "only live"
    )
    for rule in result.rules:
        median = (
            "-" if rule.median_seconds is None else format_duration(dt.timedelta(seconds=round(rule.median_seconds)))
        )
        numbers = (rule.live, rule.in_both, rule.only_new, rule.only_live)
        table.add_row(rule.rule, *map(str, (rule.alerts, rule.flapping, rule.open)), median, *map(str, numbers))
    console.print(table)
    days = sorted({day for rule in result.rules for day in rule.by_day})
    if days:
        table = _table("Alerts by day (UTC)", "day", *(rule.rule for rule in result.rules))
        for day in days[-_MAX_DAYS:]:
            table.add_row(day, *(str(rule.by_day.get(day, 0)) for rule in result.rules))
        console.print(table)
        table = _table("Noisiest devices", "device", "alerts")
        for noisy in result.noisiest:
            table.add_row(escape(noisy.device), str(noisy.alerts))
        console.print(table)
    if result.not_tested:
        console.print(f"not played back, as the lake does not know gateways: {', '.join(result.not_tested)}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table
