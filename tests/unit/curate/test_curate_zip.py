"""The job's code as it travels: from an archive, with nothing else of ours in reach."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from telemetry.tables.curated import CURATED

ROOT = Path(__file__).parents[3]

_PROGRAM = """
import datetime as dt, json, sys
from contextlib import closing
from pathlib import Path
sys.path[:] = [path for path in sys.path if "work" not in Path(path).parts or "site-packages" in path]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path.insert(0, sys.argv[1])
import telemetry
from glue_jobs.curate.engines.duckdb_engine import DuckDBEngine
from glue_jobs.curate.zones.layout import Plan
from glue_jobs.curate.zones.raw import Content, raw_object
import pyarrow.parquet as pq
assert telemetry.__file__.startswith(sys.argv[1]), telemetry.__file__
raw = raw_object("raw/dt=2026-11-23/hour=12/a", 1, dt.datetime(2026, 11, 23, 13, tzinfo=dt.timezone.utc))
class Zones:
    def read(self, objects):
        return [Content(raw, sys.argv[2].encode()) for _ in objects]
    def files(self, table, day):
        return []
    def download(self, files, folder):
        return []
    def upload(self, table, day, name, file):
        print(json.dumps([table.name, pq.read_table(file).to_pylist()], default=str))
    def count(self, **counts):
        pass
zones = Zones()
with closing(DuckDBEngine(zones, [], zones)) as engine:
    hours = [found.hour for found in engine.read_whole([raw])]
    engine.build_day(zones, "2026-11-23", hours, Plan([], []))
    engine.collect_quarantine()
    engine.build_quarantine(zones, "2026-11-23", hours, [raw.key])
"""


def _archive(path: Path, *, with_metric: str = "") -> Path:
    """The packages the job's wheel holds, the reading with one more line if asked."""
    with zipfile.ZipFile(path, "w") as archive:
        for package in ("telemetry", "glue_jobs"):
            for file in sorted((ROOT / package).rglob("*")):
                if file.suffix in (".py", ".sql"):
                    text = file.read_text(encoding="utf-8")
                    if file.name == "model.py" and with_metric:
                        text = text.replace("    status: Status\n", f"    {with_metric}\n    status: Status\n")
                    archive.writestr(str(file.relative_to(ROOT)), text)
    return path


def _curate(archive: Path, lines: str) -> str:
    result = subprocess.run(
        [sys.executable, "-I", "-c", _PROGRAM, str(archive), lines],
        check=False,
        capture_output=True,
        text=True,
        cwd=archive.parent,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


LINE = '{"device_id":"d","site":"s","ts":"2026-11-23T12:00:00Z","seq":1,"status":"ok"}'


def test_should_run_from_an_archive(tmp_path: Path) -> None:
    tables = _curate(_archive(tmp_path / "job.zip"), f"{LINE}\noops")
    assert [line.split('"')[1] for line in tables.splitlines()] == [table.name for table in CURATED]


def test_should_curate_a_new_metric_after_one_line_in_the_reading(tmp_path: Path) -> None:
    metric = "pressure: Optional[Annotated[float, msgspec.Meta(ge=300.0, le=1100.0)]] = None"
    archive = _archive(tmp_path / "job.zip", with_metric=metric)
    good, bad = (LINE.replace("}", f',"pressure":{value}}}') for value in (1013, 1200))
    readings, hourly, daily, _, quarantine = _curate(archive, f"{good}\n{bad}").splitlines()
    assert '"pressure": 1013.0' in readings
    assert '"pressure_p95": 1013.0' in hourly
    assert '"pressure_max": 1013.0' in daily
    assert '"out_of_bounds"' in quarantine
    assert "1200" in quarantine
