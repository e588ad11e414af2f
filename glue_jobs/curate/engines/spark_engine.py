"""The engine on many machines: Spark runs the SQL on rows that its workers read."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import reduce
from typing import Optional, Union

from py4j.protocol import Py4JError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as f

from glue_jobs.curate.engines import spark_workers
from glue_jobs.curate.engines.engine import Completeness, Counts
from glue_jobs.curate.engines.spark_sql import spark_sql
from glue_jobs.curate.engines.spark_workers import FILES, OBJECTS, STAGED, Worker, schema
from glue_jobs.curate.engines.sql import made_from
from glue_jobs.curate.errors import CurateError
from glue_jobs.curate.progress import Reporter
from glue_jobs.curate.zones import layout
from glue_jobs.curate.zones.curated import CuratedZone
from glue_jobs.curate.zones.index import ObjectHour
from glue_jobs.curate.zones.layout import DayFile, Plan
from glue_jobs.curate.zones.raw import RawObject, RawZone
from telemetry.registry.devices import DeviceRow
from telemetry.tables.curated import CURATED, DEVICE_HEALTH, DEVICES, QUARANTINE, READINGS, READINGS_HOURLY
from telemetry.tables.table import Column, Table

#: What the engine relies on.
SETTINGS: dict[str, Union[bool, float, int, str, None]] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(spark_workers.ROWS),
}

#: Where rows are kept that are used more than once: what memory does not hold goes to the disks.
_STORED = StorageLevel.MEMORY_AND_DISK

_MICROSECOND = dt.timedelta(microseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)

#: Tasks a core: some objects are larger than others.
_TASKS_A_CORE = 4

_CURATE_ERROR = re.compile(r"CurateError: (.*)")


class SparkEngine:
    """See :class:`~glue_jobs.curate.engines.engine.Engine`. What it keeps in the session goes when it is closed.

    ``spark`` is a session with :data:`SETTINGS`.
    """

    def __init__(self, spark: SparkSession, raw: RawZone, registry: Sequence[DeviceRow], reporter: Reporter) -> None:
        self._spark = spark
        self._bucket = raw.bucket
        self._reporter = reporter
        self._objects: dict[str, RawObject] = {}
        self._left: set[dt.datetime] = set()
        self._kept: list[DataFrame] = []
        self._staged = self._frame([], STAGED)
        self._contradicting: list[DataFrame] = []
        self._quarantined = self._frame([], QUARANTINE.columns)
        self._readings = self._duplicates = 0
        self._days: dict[str, Completeness] = {}
        self._frame(registry, DEVICES.columns).createOrReplaceTempView("registry")

    def read_whole(self, objects: Sequence[RawObject]) -> list[ObjectHour]:
        """Read every line of these objects; return which event hours their readings lie in."""
        self._read(objects, None)
        return self.object_hours()

    def read_hours(self, objects: Sequence[RawObject], hours: Collection[dt.datetime]) -> None:
        """Read the readings of these event hours from these objects."""
        self._read(objects, hours)

    def leave(self, hours: Collection[dt.datetime]) -> None:
        """Leave the readings of these event hours out."""
        self._left |= set(hours)

    def object_hours(self) -> list[ObjectHour]:
        """Return which objects hold readings of which event hours, of all that was read so far."""
        hour = f.unix_micros("hour_start").alias("hour")
        rows = _collected(self._accepted().groupBy(hour, "raw_object").count().orderBy("hour", "raw_object"))
        return [ObjectHour(_moment(row["hour"]), self._objects[row["raw_object"]], row["count"]) for row in rows]

    def build_day(self, zone: CuratedZone, day: str, hours: Collection[dt.datetime], plan: Plan) -> bool:
        """Write a day's files, with these hours computed again, next to the old ones; return whether there are any."""
        with self._for_now():
            for file in plan.copied:
                zone.copy(READINGS, day, file)
            fresh = self._readings_of(hours)
            old = self._files(zone, READINGS, plan.merged).withColumn("hour_start", f.date_trunc("hour", "ts"))
            rows = self._keep(fresh.unionByName(_without(old, hours)))
            made: dict[str, DataFrame] = {}
            for table in made_from("readings_of_hours"):
                new = self._made(table, _in_order(fresh, table, "hour_start", "device_id", "seq"))
                other_hours = _without(self._files(zone, table, zone.files(table, day)), hours)
                made[table.name] = self._keep(new.select(*table.column_names).unionByName(other_hours))
            hours_of_day = made[READINGS_HOURLY.name]
            if not _collected(hours_of_day.limit(1)):
                return False
            for table in made_from("hours_of_day"):
                made[table.name] = self._made(table, _in_order(hours_of_day, table, "hour_start", "device_id"))
            readings = self._files(zone, READINGS, plan.copied).unionByName(rows.drop("hour_start"))
            for table in made_from("readings_of_day"):
                made[table.name] = self._keep(self._made(table, readings))
            made[DEVICE_HEALTH.name].createOrReplaceTempView(DEVICE_HEALTH.name)
            (sums,) = _collected(self._spark.sql(spark_sql("completeness")))
            self._days[day] = Completeness(*map(int, sums))
            self._write_readings(zone, day, rows)
            for table in CURATED:
                if table.source:
                    self._write(zone, table, day, made[table.name], *table.key)
            return True

    def collect_quarantine(self) -> None:
        """Collect the lines to quarantine: refused ones, and those that contradict a reading of the days built."""
        refused = self._staged.where(f.col("kind") == "refused")
        found = [refused.select(*(f.col(name) for name in QUARANTINE.column_names if name != "id"))]
        if self._contradicting:
            objects = self._frame(_described(self._objects.values()), OBJECTS)
            arrived = objects.select(f.col("key").alias("raw_object"), "arrived")
            contradicting = reduce(DataFrame.unionByName, self._contradicting).join(arrived, "raw_object")
            sorted_ = contradicting.repartition("raw_object").sortWithinPartitions("raw_object", "raw_line")
            quoted = _mapped(sorted_, spark_workers.read_conflicting_lines(self._bucket), QUARANTINE.columns)
            found.append(quoted.drop("id"))
        place = f.concat("raw_object", f.lit(":"), f.col("raw_line").cast("string"))
        every = reduce(DataFrame.unionByName, found).withColumn("id", f.substring(f.md5(place), 1, 16))
        self._quarantined = self._keep(every.select(*QUARANTINE.column_names))

    def build_quarantine(
        self, zone: CuratedZone, day: str, hours: Collection[dt.datetime], objects: Collection[str]
    ) -> Optional[bool]:
        """Write a day's quarantine next to the old one; return whether it has rows, or None if nothing changes."""
        with self._for_now():
            before = self._keep(self._files(zone, QUARANTINE, zone.files(QUARANTINE, day)))
            is_conflict = f.col("reason") == "conflict"
            conflicts = before.where(is_conflict & ~_is_one_of(f.date_trunc("hour", "ts"), hours))
            keys = self._frame([(key,) for key in objects], FILES).withColumnRenamed("key", "raw_object")
            refused = before.where(~is_conflict).join(keys, "raw_object", "left_anti")
            new = self._quarantined.where(f.to_date(f.coalesce("ts", "arrived")) == f.lit(day).cast("date"))
            now = self._keep(conflicts.unionByName(refused).unionByName(new))
            if not _collected(now.exceptAll(before).union(before.exceptAll(now)).limit(1)):
                return None
            if not _collected(now.limit(1)):
                return False
            self._write(zone, QUARANTINE, day, now, "arrived", "raw_object", "raw_line")
            return True

    def counts(self) -> Counts:
        """Return what was built."""
        ((newest,),) = _collected(self._accepted().select(f.max(f.unix_micros("ts"))))
        ((quarantined,),) = _collected(self._quarantined.select(f.count("*")))
        moment = None if newest is None else _moment(newest)
        return Counts(self._readings, self._duplicates, quarantined, moment, self._days)

    def close(self) -> None:
        """Release the memory and the files."""
        _release([*self._kept, *self._contradicting])

    def _read(self, objects: Sequence[RawObject], hours: Optional[Collection[dt.datetime]]) -> None:
        if not objects:
            return
        self._objects.update({found.key: found for found in objects})
        tasks = min(len(objects), _TASKS_A_CORE * self._spark.sparkContext.defaultParallelism)
        described = self._frame(_described(objects), OBJECTS, tasks)
        staged = self._keep(_mapped(described, spark_workers.read_objects(self._bucket, hours), STAGED))
        ((lines,),) = _collected(staged.where(f.col("kind") == "object").select(f.sum("raw_line")))
        self._staged = self._staged.unionByName(staged)
        self._reporter.count(objects=len(objects), rows=lines or 0)

    def _accepted(self) -> DataFrame:
        return _without(self._staged.where(f.col("kind") == "reading"), self._left)

    def _readings_of(self, hours: Collection[dt.datetime]) -> DataFrame:
        """Return the readings of these hours, each once; count them, and keep what contradicts them."""
        self._accepted().where(_is_one_of(f.col("hour_start"), hours)).createOrReplaceTempView("parsed")
        self._keep(self._spark.sql(spark_sql("repeated"))).createOrReplaceTempView("repeated")
        fresh = self._keep(self._spark.sql(spark_sql("readings")))
        ((readings, copies),) = _collected(fresh.select(f.count("*"), f.coalesce(f.sum("copies"), f.lit(0))))
        self._readings += readings
        self._duplicates += copies - readings
        contradicting = self._spark.sql(spark_sql("conflicts")).persist(_STORED)
        ((found,),) = _collected(contradicting.select(f.count("*")))
        if found:
            self._contradicting.append(contradicting)
        else:
            contradicting.unpersist()
        return fresh

    def _made(self, table: Table, rows: DataFrame) -> DataFrame:
        """Return what the table's SQL makes of these rows."""
        rows.createOrReplaceTempView(str(table.source))
        return self._spark.sql(spark_sql(table.name))

    def _write_readings(self, zone: CuratedZone, day: str, rows: DataFrame) -> None:
        """Write a day's readings, some hours to a file."""
        hour = f.hour("ts")
        sizes = {row["hour"]: row["count"] for row in _collected(rows.groupBy(hour.alias("hour")).count())}
        groups = {layout.file_name(group, sum(sizes[hour] for hour in group)): group for group in layout.groups(sizes)}
        if not groups:
            return
        file = f.coalesce(*(f.when(hour.isin(group), name) for name, group in groups.items()))
        sorted_ = (
            rows.withColumn("file", file)
            .repartition(len(groups), "file")
            .sortWithinPartitions("file", "hour_start", "device_id", "seq")
        )
        self._write_sorted(zone, READINGS, day, sorted_, list(groups))

    def _write(self, zone: CuratedZone, table: Table, day: str, rows: DataFrame, *order: str) -> None:
        """Write rows as the one file of a table's partition."""
        sorted_ = rows.repartition(1).sortWithinPartitions(*order).withColumn("file", f.lit("0.parquet"))
        self._write_sorted(zone, table, day, sorted_, ["0.parquet"])

    def _write_sorted(self, zone: CuratedZone, table: Table, day: str, rows: DataFrame, names: Sequence[str]) -> None:
        """Write rows, sorted by ``file``, with the table's columns and types."""
        columns = [f.col(column.name).cast(column.type).alias(column.name) for column in table.columns]
        keys = {name: zone.key(table, day, name) for name in names}
        work = spark_workers.write_files(zone.bucket, keys, table.columns)
        _collected(_mapped(rows.select("file", *columns), work, FILES))

    def _files(self, zone: CuratedZone, table: Table, files: Sequence[DayFile]) -> DataFrame:
        """The rows of a table's files."""
        if not files:
            return self._frame([], table.columns)
        keys = self._frame([(file.key,) for file in files], FILES, len(files))
        return _mapped(keys, spark_workers.read_files(zone.bucket, table.columns), table.columns)

    def _frame(self, rows: Sequence[tuple[object, ...]], columns: Sequence[Column], tasks: int = 1) -> DataFrame:
        parts = self._spark.sparkContext.parallelize(rows, tasks)
        return self._spark.createDataFrame(parts, schema(columns))

    def _keep(self, rows: DataFrame) -> DataFrame:
        """Have rows computed once."""
        self._kept.append(rows.persist(_STORED))
        return rows

    @contextlib.contextmanager
    def _for_now(self) -> Iterator[None]:
        """Let go, at the end, of what was kept meanwhile."""
        before = len(self._kept)
        try:
            yield
        finally:
            _release(self._kept[before:])
            del self._kept[before:]


def _described(objects: Iterable[RawObject]) -> list[tuple[object, ...]]:
    """Objects as rows of OBJECTS."""
    return [(found.key, found.size, *found.hour, found.arrived) for found in objects]


def _mapped(rows: DataFrame, work: Worker, columns: Sequence[Column]) -> DataFrame:
    return rows.mapInArrow(work, schema(columns))


def _in_order(rows: DataFrame, table: Table, *order: str) -> DataFrame:
    """Give all rows of a row of the table to one worker, in order: sums of floating-point numbers depend on it."""
    columns = (*table.key, *(name for name in order if name not in table.key))
    return rows.repartition(*table.key).sortWithinPartitions(*columns)


def _without(rows: DataFrame, hours: Collection[dt.datetime]) -> DataFrame:
    return rows.where(~_is_one_of(f.col("hour_start"), hours))


def _is_one_of(moment: Expression, hours: Collection[dt.datetime]) -> Expression:
    return f.unix_micros(moment).isin([(hour - _EPOCH) // _MICROSECOND for hour in hours])


def _moment(micros: int) -> dt.datetime:
    return _EPOCH + micros * _MICROSECOND


def _release(kept: Iterable[DataFrame]) -> None:
    for rows in kept:
        rows.unpersist()


def _collected(rows: DataFrame) -> list[Row]:
    """The rows, here; raises :class:`CurateError` for what a worker or Spark itself could not do."""
    try:
        return rows.collect()
    except (PySparkException, Py4JError) as error:
        found = _CURATE_ERROR.search(str(error))
        raise CurateError(found[1] if found else f"Spark: {error}") from error
