"""The same in PySpark on this machine, as on Glue's Spark; the session stands before the clock starts.

Like the other peers it does less than the job: no index or ledger, no second reading that contradicts the first, no
registry and calibration, and none of the tables of sites, device health and devices.
"""

from __future__ import annotations

import os
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f

from benchmarks.curate.contenders import Contender
from benchmarks.curate.dataset import raw_objects

_METRICS = ("temperature", "humidity", "battery")
_SCHEMA = (
    "device_id STRING, site STRING, ts TIMESTAMP, seq BIGINT, temperature DOUBLE, humidity DOUBLE, battery DOUBLE, "
    "status STRING, malformed STRING"
)
_CONFIGURATION = {
    "spark.master": "local[*]",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "4g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
    "spark.sql.parquet.compression.codec": "zstd",
}


def contender() -> Contender:
    """Readings, their hours and the quarantine."""
    configuration = SparkConf().setAll(list(_CONFIGURATION.items()))
    # Launched here and not by the session, to have a handle on the Java virtual machine.
    gateway = launch_gateway(configuration)  # type: ignore[no-untyped-call]
    context = SparkContext(gateway=gateway, conf=configuration)
    context.setLogLevel("ERROR")
    spark = SparkSession(context)

    def close() -> None:
        """Ends the virtual machine, which ends with its input, and waits: only then is its memory told."""
        spark.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()

    return Contender(lambda data, out: _curate(spark, data, out), ("pyspark",), close)


def _curate(spark: SparkSession, data: Path, out: Path) -> None:
    paths = [str(path) for path in raw_objects(data)]
    lines = (
        spark.read.schema(_SCHEMA)
        .json(paths, mode="PERMISSIVE", columnNameOfCorruptRecord="malformed")
        .withColumn("raw_object", f.input_file_name())
        .cache()
    )
    readings = (
        lines.where(f.col("malformed").isNull())
        .drop("malformed", "raw_object")
        .dropDuplicates(["device_id", "seq"])
        .cache()
    )
    _write(readings, out / "readings", "ts")
    _write(_hourly(readings), out / "readings_hourly", "hour_start")
    quarantine = lines.where(f.col("malformed").isNotNull()).select("raw_object", f.col("malformed").alias("line"))
    quarantine.write.parquet(str(out / "quarantine"))


def _hourly(readings: DataFrame) -> DataFrame:
    return readings.groupBy("device_id", f.date_trunc("hour", "ts").alias("hour_start")).agg(
        f.last("site").alias("site"),
        f.count("*").alias("received"),
        (f.max("seq") - f.min("seq") + 1).alias("expected"),
        *(f.count_if(f.col("status") == name).alias(f"status_{name}") for name in ("ok", "degraded", "fault")),
        *(statistic for metric in _METRICS for statistic in _statistics(metric)),
    )


def _statistics(metric: str) -> tuple[Column, ...]:
    return (
        f.count(metric).alias(f"{metric}_count"),
        f.min(metric).alias(f"{metric}_min"),
        f.mean(metric).alias(f"{metric}_mean"),
        f.max(metric).alias(f"{metric}_max"),
        f.percentile(metric, 0.95).alias(f"{metric}_p95"),
        f.stddev(metric).alias(f"{metric}_stddev"),
    )


def _write(rows: DataFrame, folder: Path, moment: str) -> None:
    rows.withColumn("dt", f.date_format(moment, "yyyy-MM-dd")).write.partitionBy("dt").parquet(str(folder))
