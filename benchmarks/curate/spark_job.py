"""The same in PySpark on this machine, as on Glue's Spark; the session stands before the clock starts."""

from __future__ import annotations

import os
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from benchmarks.curate.contenders import Contender
from benchmarks.curate.dataset import raw_objects

_METRICS = ("temperature", "humidity", "battery")
_SCHEMA = (
    "device_id STRING, site STRING, ts TIMESTAMP, seq BIGINT, temperature DOUBLE, humidity DOUBLE, battery DOUBLE, "
    "status STRING, malformed STRING"
)


def contender() -> Contender:
    """Readings, their hours and the quarantine."""
    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "4g")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", 2 * (os.cpu_count() or 1))
        .config("spark.sql.parquet.compression.codec", "zstd")
        .getOrCreate()
    )
    return Contender(lambda data, out: _curate(spark, data, out), ("pyspark",), lambda: _close(spark))
