"""The job as it is written today for a Python shell: pandas, from files to files.

Where people let awswrangler read and write, it calls pandas and PyArrow for all but the transfer, which none of the
contenders has. Lines can be malformed, so each is read by itself: ``read_json`` gives up a file for one of them.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd

from benchmarks.curate.contenders import Contender
from benchmarks.curate.dataset import raw_objects

_METRICS = ["temperature", "humidity", "battery"]


def contender() -> Contender:
    """Readings, their hours and the quarantine."""
    return Contender(_curate, ("pandas", "pyarrow"))


def _curate(data: Path, out: Path) -> None:
    frames, malformed = [], []
    for path in raw_objects(data):
        rows = []
        with gzip.open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    rows.append(json.loads(line))
                except ValueError as error:
                    malformed.append((path.name, number, line.decode(errors="replace"), str(error)))
        frames.append(pd.DataFrame.from_records(rows))
    readings = pd.concat(frames, ignore_index=True).drop_duplicates(["device_id", "seq"], ignore_index=True)
    readings["ts"] = pd.to_datetime(readings["ts"], format="ISO8601", utc=True)
    hourly = _hourly(readings)
    _write(out / "readings", readings, readings["ts"])
    _write(out / "readings_hourly", hourly, hourly["hour_start"])
    quarantine = pd.DataFrame(malformed, columns=["raw_object", "raw_line", "line", "detail"])
    (out / "quarantine").mkdir()
    quarantine.to_parquet(out / "quarantine" / "0.parquet", compression="zstd", index=False)


def _hourly(readings: pd.DataFrame) -> pd.DataFrame:
    keys = [readings["device_id"], readings["ts"].dt.floor("h").rename("hour_start")]
    grouped = readings.groupby(keys, sort=False, observed=True)
    statistics = grouped[_METRICS].agg(["count", "min", "mean", "max", "std"])
    statistics.columns = statistics.columns.map("_".join)
    statuses = pd.get_dummies(readings["status"], prefix="status").groupby(keys, sort=False).sum()
    sequence = grouped["seq"]
    return pd.concat(
        [
            grouped["site"].last(),
            grouped.size().rename("received"),
            (sequence.max() - sequence.min() + 1).rename("expected"),
            statuses,
            statistics,
            grouped[_METRICS].quantile(0.95).add_suffix("_p95"),
        ],
        axis="columns",
    ).reset_index()


def _write(folder: Path, rows: pd.DataFrame, moments: pd.Series[pd.Timestamp]) -> None:
    days = moments.dt.strftime("%Y-%m-%d")
    rows.assign(dt=days).to_parquet(folder, partition_cols=["dt"], compression="zstd", index=False)
