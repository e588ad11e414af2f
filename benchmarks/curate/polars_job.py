"""The same in Polars, as its documentation writes a job: one lazy query to a sink a table, all collected together.

``scan_ndjson`` fails at the first malformed line even where it is told to ignore errors, so lines are read as text.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.curate.contenders import Contender
from benchmarks.curate.dataset import raw_objects

_METRICS = ("temperature", "humidity", "battery")
_READING = pl.Struct(
    {
        "device_id": pl.String,
        "site": pl.String,
        "ts": pl.String,
        "seq": pl.Int64,
        **dict.fromkeys(_METRICS, pl.Float64),
        "status": pl.String,
    }
)


def contender() -> Contender:
    """Readings, their hours and the quarantine."""
    return Contender(_curate, ("polars",))


def _curate(data: Path, out: Path) -> None:
    lines = pl.scan_lines(raw_objects(data), name="line", include_file_paths="raw_object")
    whole = pl.col("line").str.starts_with("{") & pl.col("line").str.ends_with("}")
    readings = (
        lines.filter(whole)
        .select(pl.col("line").str.json_decode(_READING).alias("reading"))
        .unnest("reading")
        .with_columns(pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us"))
        .unique(["device_id", "seq"], keep="any")
    )
    pl.collect_all(
        [
            _sunk(readings, out / "readings", "ts"),
            _sunk(_hourly(readings), out / "readings_hourly", "hour_start"),
            lines.filter(~whole).sink_parquet(out / "quarantine" / "0.parquet", mkdir=True, lazy=True),
        ],
        engine="streaming",
    )


def _hourly(readings: pl.LazyFrame) -> pl.LazyFrame:
    seq, status = pl.col("seq"), pl.col("status")
    return readings.group_by("device_id", pl.col("ts").dt.truncate("1h").alias("hour_start")).agg(
        pl.col("site").last(),
        pl.len().alias("received"),
        (seq.max() - seq.min() + 1).alias("expected"),
        *((status == name).sum().alias(f"status_{name}") for name in ("ok", "degraded", "fault")),
        *(statistic for metric in _METRICS for statistic in _statistics(metric)),
    )


def _statistics(metric: str) -> tuple[pl.Expr, ...]:
    column = pl.col(metric)
    return (
        column.count().alias(f"{metric}_count"),
        column.min().alias(f"{metric}_min"),
        column.mean().alias(f"{metric}_mean"),
        column.max().alias(f"{metric}_max"),
        column.quantile(0.95, interpolation="linear").alias(f"{metric}_p95"),
        column.std().alias(f"{metric}_stddev"),
    )


def _sunk(rows: pl.LazyFrame, folder: Path, moment: str) -> pl.LazyFrame:
    by_day = pl.PartitionBy(folder, key=pl.col(moment).dt.strftime("%Y-%m-%d").alias("dt"), include_key=False)
    return rows.sink_parquet(by_day, compression="zstd", mkdir=True, lazy=True)
