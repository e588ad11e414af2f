"""Tells, milestone by milestone, what a run of the tests held: reads pytest's JUnit file, writes artifacts/N/tests.md.

A file of tests is put to the milestone that it was written for; whatever is not listed here, to the last one.
"""

from __future__ import annotations

import ast
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "docs" / "milestones" / "artifacts"

#: Beginnings of paths below ``tests``; the longest that fits counts.
_MILESTONES = {
    1: """contract/test_infra_settings contract/test_infra_tables infra/test_bundling infra/test_nag
        infra/test_permissions infra/test_security infra/test_settings infra/test_snapshot infra/test_target
        integration/test_emulator unit/local/test_deployment unit/local/test_endpoint unit/telemetry/test_codec
        unit/telemetry/test_fields""",
    2: """e2e/test_localstack infra/test_metrics infra/test_monitoring infra/test_stacks integration/test_cli
        integration/test_demo integration/test_pipeline unit/curate unit/detector unit/pipeline/test_deployment
        unit/pipeline/test_etl unit/pipeline/test_inbox unit/pipeline/test_rows unit/pipeline/test_show.""",
    3: """contract/test_alerts_lake contract/test_examples contract/test_notification infra/test_alerts_stack
        unit/alerting unit/benchmarks/test_detector unit/cli/test_alerts unit/cli/test_rules unit/delivery
        unit/notifier unit/pipeline/test_alerts unit/pipeline/test_backtest unit/pipeline/test_history
        unit/pipeline/test_holds unit/pipeline/test_rule unit/pipeline/test_series unit/pipeline/test_show_alerts
        unit/telemetry unit/watchdog""",
    4: """contract/test_infra_lake contract/test_named_queries infra/test_schedule integration/test_spark
        unit/benchmarks/test_curate unit/cli/test_quarantine unit/cli/test_query unit/cli/test_registry
        unit/curate/test_curate_index unit/curate/test_curate_killed unit/curate/test_curate_layout
        unit/curate/test_curate_ledger unit/curate/test_curate_run unit/curate/test_curate_same
        unit/pipeline/test_athena unit/pipeline/test_named_queries unit/pipeline/test_quarantine
        unit/pipeline/test_registry unit/pipeline/test_show_quarantine unit/pipeline/test_tables
        unit/telemetry/test_devices""",
    5: """contract/test_scenario integration/test_audit integration/test_firehose integration/test_kafka
        integration/test_mqtt integration/test_simulator unit/benchmarks/test_simulator unit/cli/test_audit
        unit/cli/test_score unit/pipeline/test_audit unit/pipeline/test_named_scenarios
        unit/pipeline/test_rehearsal unit/pipeline/test_scoring unit/pipeline/test_timeline unit/simulator""",
    6: "",
}


def milestone(file: str) -> int:
    """The milestone of a file of tests, by its path below ``tests``."""
    fitting = {
        beginning: number
        for number, beginnings in _MILESTONES.items()
        for beginning in beginnings.split()
        if file.startswith(beginning)
    }
    return fitting[max(fitting, key=len)] if fitting else max(_MILESTONES)


def results(junit: Path) -> dict[str, Counter[str]]:
    """How many tests of each file passed, failed or were skipped."""
    found: dict[str, Counter[str]] = {}
    for case in ET.parse(junit).getroot().iter("testcase"):  # noqa: S314, pytest wrote it
        _, *parts = case.attrib["classname"].split(".")
        file = "/".join(part for part in parts if part.islower()) + ".py"  # the others are classes
        tags = {child.tag for child in case}
        outcome = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
        found.setdefault(file, Counter())[outcome] += 1
    return found


def page(number: int, files: Mapping[str, Counter[str]]) -> str:
    """The artifact of a milestone, Markdown."""
    total = sum(files.values(), Counter[str]())
    counts = ", ".join(f"{total[outcome]:,} {outcome}" for outcome in ("passed", "failed", "skipped") if total[outcome])
    lines = [f"# The tests of milestone {number}", "", f"{counts or 'none'}.", ""]
    lines += ["| tests | what they hold | passed | failed | skipped |", "|---|---|---|---|---|"]
    for file, counter in sorted(files.items()):
        cells = [f"[{file}](../../../../tests/{file})", _holds(ROOT / "tests" / file)]
        cells += [str(counter[outcome] or "") for outcome in ("passed", "failed", "skipped")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _holds(file: Path) -> str:
    words = ast.get_docstring(ast.parse(file.read_text())) or ""
    return words.partition("\n\n")[0].replace("\n", " ").replace("``", "`").replace("|", "\\|")


def main(junit: Path) -> int:
    """Write the artifacts; the exit code says whether a test failed."""
    found = results(junit)
    for number in _MILESTONES:
        files = {file: counter for file, counter in found.items() if milestone(file) == number}
        folder = ARTIFACTS / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tests.md").write_text(page(number, files))
    return int(any(counter["failed"] for counter in found.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
