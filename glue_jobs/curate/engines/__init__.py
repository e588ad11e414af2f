"""The engines that compute a batch: DuckDB on one machine, Spark on many. Both run ``glue_jobs/curate/sql``."""
