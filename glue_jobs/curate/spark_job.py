"""The script Glue runs for a fleet that outgrows one machine; our own code is installed as one more module."""

from __future__ import annotations

import os
import sys
from functools import partial

from pyspark.sql import SparkSession

from glue_jobs.curate.engines.spark_engine import SETTINGS, SparkEngine
from glue_jobs.curate.main import main

if __name__ == "__main__":
    spark = SparkSession.builder.config(map=SETTINGS).getOrCreate()
    main(sys.argv[1:], os.environ, partial(SparkEngine, spark))
