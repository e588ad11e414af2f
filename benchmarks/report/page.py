"""``docs/report.md`` and its pictures, from the records of the measurements and nothing else."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import floor, log10
from pathlib import Path
from typing import NamedTuple

import jinja2

from benchmarks.report.aims import Held, held
from benchmarks.report.measurements import Record, folder_of, read
from benchmarks.report.plots import draw, pictures
from benchmarks.report.results import Benchmark, Demo, Planned, Results, Scored
from evaluation.scoring import MOST_NOTIFICATIONS, WANTED, nearest_rank

_TEMPLATE = Path(__file__).with_name("report.md.j2")

#: What is measured, by how its measurements' names begin.
_PARTS = ("detector", "simulator", "curate", "demo", "scores", "cost")


class Written(NamedTuple):
    """Outcome of writing the page: missed aims, and measurements that failed, with the reason."""

    missed: list[Held]
    failed: dict[str, str]


def write_page(page: Path) -> Written:
    """Write a page and its pictures from the records beside it. Raises :class:`PipelineError` for a broken record."""
    folder = folder_of(page)
    records = read(folder)
    found = results(records)
    folder.mkdir(parents=True, exist_ok=True)
    draw(found, folder)
    page.write_text(text(records, folder.name), encoding="utf-8")
    return Written([each for each in held(found) if not each.met], failures(records))


def text(records: Mapping[str, Record], folder: str) -> str:
    """The page, Markdown; pictures and records lie in ``folder``."""
    found = results(records)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - Markdown, of our own files
    )
    environment.filters |= {"count": "{:,}".format, "rate": rate, "quoted": _quoted, "sentence": _sentence}
    rendered = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        found=found,
        records=dict(sorted(records.items(), key=lambda each: each[1].began_at)),
        folder=folder,
        aims=held(found),
        failed=failures(records),
        reasons=_reasons(failures(records)),
        pictures=pictures(found),
        machines=list(dict.fromkeys(record.machine for record in records.values())),
        commits=list(dict.fromkeys(record.commit for record in records.values())),
        versions=_versions(records.values()),
        cheaper=_cheaper(found),
        busy=_busy(records.values()),
        quantile=nearest_rank,
        WANTED=WANTED,
        MOST_NOTIFICATIONS=MOST_NOTIFICATIONS,
    )
    # What is left out leaves its empty lines behind.
    return re.sub(r"\n{3,}", "\n\n", rendered).strip() + "\n"


def results(records: Mapping[str, Record]) -> Results:
    """The results of those that have one."""
    named = {name: record for name, record in records.items() if not record.error}

    def all_of(part: str) -> Iterable[tuple[str, Record]]:
        return ((name, record) for name, record in named.items() if _part(name) == part)

    def one(part: str) -> Benchmark | None:
        return named[part].decoded(Benchmark) if part in named else None

    curate: dict[str, Benchmark] = {name: record.decoded(Benchmark) for name, record in all_of("curate")}
    costs: dict[str, Planned] = {name: record.decoded(Planned) for name, record in all_of("cost")}
    demos: dict[str, Demo] = {name: record.decoded(Demo) for name, record in all_of("demo")}
    scores: list[Scored] = named["scores"].decoded(list[Scored]) if "scores" in named else []
    return Results(
        detector=one("detector"),
        simulator=one("simulator"),
        curate=dict(sorted(curate.items(), key=lambda each: each[1].rows)),
        scores=scores,
        demos=demos,
        costs=dict(sorted(costs.items(), key=lambda each: each[1].devices)),
    )


def failures(records: Mapping[str, Record]) -> dict[str, str]:
    """Why there is no result, by the name of the measurement, or of a whole part that nobody has measured."""
    failed = {name: record.error for name, record in records.items() if record.error}
    return failed | {part: "nobody has yet" for part in _PARTS if part not in map(_part, records)}


def _reasons(failed: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """The names of what failed, by part and by reason: what all of a part lack is said once."""
    found: dict[str, dict[str, list[str]]] = {part: {} for part in _PARTS}
    for name, why in failed.items():
        found.setdefault(_part(name), {}).setdefault(why, []).append(name)
    return found


def _part(name: str) -> str:
    return name.partition("-")[0]


def _versions(records: Iterable[Record]) -> dict[str, list[str]]:
    """Of every package that anything was measured with: one, where nothing was updated in between."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        for package, version in record.versions.items():
            found[package].add(version)
    return {package: sorted(each) for package, each in sorted(found.items())}


def _busy(records: Iterable[Record]) -> float:
    """The most processes that wanted a processor, where that is more than the measurements themselves explain."""
    return max((record.load for record in records if record.load > 2 * record.machine.cores), default=0)


def _cheaper(found: Results) -> list[str]:
    """List the variants that cost less than ours, and at how many devices."""
    return [
        f"{name} at {each.devices:,}"
        for each in found.costs.values()
        for name, usd in each.usd.items()
        if usd < next(iter(each.usd.values()))
    ]


def rate(value: float) -> str:
    """Three digits that count: noise has the others."""
    if value <= 0:
        return f"{value:g}"
    return f"{round(value, 2 - floor(log10(value))):,.{max(0, 2 - floor(log10(value)))}f}"


def _quoted(words: str) -> str:
    """Return a program's output as code, so that none of it is read as Markdown."""
    return "`" + " ".join(words.replace("`", "'").split()) + "`"


def _sentence(words: str) -> str:
    """With a capital letter, and the others as they are."""
    return words[:1].upper() + words[1:]
