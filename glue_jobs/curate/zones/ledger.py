"""Position of the curation, which only one of several concurrent runs can advance.

Two kinds of items in one DynamoDB table. ``curate`` is the claim and the position: a run claims it, and whoever claimed
last is the only one that may switch partitions and move the watermark; a run that died holds nobody up. ``run#<id>``
tells whoever started a run how it is getting on, and goes after a month.
"""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Collection
from typing import TYPE_CHECKING, Optional

import msgspec

from glue_jobs.curate.errors import CurateError, doing
from glue_jobs.curate.hours import HOUR, rfc3339, start_of_hour
from glue_jobs.curate.summary import Progress
from glue_jobs.curate.zones.raw import RawObject

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client

PREFIX = "curate/state/"

#: How long after its hour an object can still come: Firehose tries for 24 hours to write one to S3.
#: https://docs.aws.amazon.com/firehose/latest/dev/retry.html
_LATEST_DELIVERY = 26 * HOUR

#: What is kept of a run for whoever asks.
_KEEP_RUNS = dt.timedelta(days=30)

_ID = "curate"


class Position(msgspec.Struct, frozen=True):
    """Every raw object is curated that arrived before ``watermark``, and so are those of the keys ``seen``.

    ``seen`` are the keys of the last hours only, in which objects can still come. Event hours that are ``pending`` have
    yet to be computed again from what was curated.
    """

    watermark: Optional[dt.datetime] = None
    seen: frozenset[str] = frozenset()
    pending: frozenset[dt.datetime] = frozenset()

    @property
    def since(self) -> Optional[dt.datetime]:
        """The first arrival hour in which there can be objects that were not curated; None for all."""
        return start_of_hour(self.watermark - _LATEST_DELIVERY) if self.watermark else None

    def after(self, objects: Collection[RawObject]) -> Position:
        """The position when these objects are curated too."""
        times = [found.arrived for found in objects] + ([self.watermark] if self.watermark else [])
        moved = Position(max(times) if times else None)
        since = moved.since
        keys = self.seen | {found.key for found in objects}
        seen = frozenset(key for key in keys if since and _is_since(key, since))
        return msgspec.structs.replace(self, watermark=moved.watermark, seen=seen)

    def leaving(self, hours: Collection[dt.datetime]) -> Position:
        """The position when these hours are left for later."""
        return msgspec.structs.replace(self, pending=self.pending.union(hours))

    def computed(self, hours: Collection[dt.datetime]) -> Position:
        """The position when these hours are computed."""
        return msgspec.structs.replace(self, pending=self.pending.difference(hours))


class Ledger:
    """The items of one stage, for one run."""

    def __init__(
        self, dynamodb: DynamoDBClient, s3: S3Client, *, table: str, bucket: str, run_id: str, now: dt.datetime
    ) -> None:
        self._dynamodb = dynamodb
        self._s3 = s3
        self._table = table
        self._bucket = bucket
        self._run_id = run_id
        self._now = now
        self._state_key: Optional[str] = None
        self._commits = 0

    def look(self) -> Position:
        """The position, without claiming anything."""
        with doing(f"read the position from table {self._table}"):
            found = self._dynamodb.get_item(TableName=self._table, Key={"id": {"S": _ID}}, ConsistentRead=True)
        self._state_key = found.get("Item", {}).get("state_key", {}).get("S")
        return self._position()

    def claim(self) -> tuple[Position, list[str]]:
        """Claim the position for this run; it and the days that are not settled yet come back."""
        with doing(f"claim the position in table {self._table}"):
            item = self._dynamodb.update_item(
                TableName=self._table,
                Key={"id": {"S": _ID}},
                UpdateExpression="SET claim = :run",
                ExpressionAttributeValues={":run": {"S": self._run_id}},
                ReturnValues="ALL_NEW",
            )["Attributes"]
        self._state_key = item.get("state_key", {}).get("S")
        return self._position(), sorted(item.get("unsettled", {}).get("SS", []))

    def begin(self, days: Collection[str]) -> None:
        """Note that files of these days may be written; raises :class:`CurateError` if another run has claimed."""
        self._update("ADD unsettled :days", {":days": {"SS": sorted(days)}})

    def check_claim(self) -> None:
        """Raise :class:`CurateError` if another run has claimed."""
        self._update("SET claim = :run", {})

    def commit(self, position: Position) -> None:
        """Move on to a position; raises :class:`CurateError` if another run has claimed."""
        if position.watermark is None:
            return
        self._commits += 1
        before, self._state_key = self._state_key, f"{PREFIX}{self._run_id}-{self._commits}.json.gz"
        with doing(f"write s3://{self._bucket}/{self._state_key}"):
            self._s3.put_object(
                Bucket=self._bucket, Key=self._state_key, Body=gzip.compress(msgspec.json.encode(position), mtime=0)
            )
        self._update(
            "SET state_key = :key, watermark = :watermark",
            {":key": {"S": self._state_key}, ":watermark": {"S": rfc3339(position.watermark)}},
        )
        if before:
            with doing(f"remove s3://{self._bucket}/{before}"):
                self._s3.delete_object(Bucket=self._bucket, Key=before)

    def settle(self, days: Collection[str]) -> None:
        """Note that nothing is left to do for these days."""
        if days:
            self._update("DELETE unsettled :days", {":days": {"SS": sorted(days)}})

    def report(self, progress: Progress, summary: Optional[str] = None) -> None:
        """Tell how the run is getting on, and with ``summary`` (JSON) how it ended."""
        item = {
            "id": {"S": f"run#{self._run_id}"},
            "phase": {"S": progress.phase},
            "objects": {"N": str(progress.objects)},
            "objects_total": {"N": str(progress.objects_total)},
            "rows": {"N": str(progress.rows)},
            "expires": {"N": str(int((self._now + _KEEP_RUNS).timestamp()))},
            **({"summary": {"S": summary}} if summary else {}),
        }
        with doing(f"write the run's progress to table {self._table}"):
            self._dynamodb.put_item(TableName=self._table, Item=item)

    def _position(self) -> Position:
        if self._state_key is None:
            return Position()
        with doing(f"read the position from s3://{self._bucket}/{self._state_key}"):
            body = self._s3.get_object(Bucket=self._bucket, Key=self._state_key)["Body"].read()
        return msgspec.json.decode(gzip.decompress(body), type=Position)

    def _update(self, expression: str, values: dict[str, dict[str, object]]) -> None:
        with doing(f"update the position in table {self._table}"):
            try:
                self._dynamodb.update_item(
                    TableName=self._table,
                    Key={"id": {"S": _ID}},
                    UpdateExpression=expression,
                    ConditionExpression="claim = :run",
                    ExpressionAttributeValues={":run": {"S": self._run_id}, **values},
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                raise CurateError(
                    "another run has begun since this one, and goes on from the same position: nothing is lost, and "
                    "nothing is to be done"
                ) from None


def _is_since(key: str, hour: dt.datetime) -> bool:
    """Whether the object of that key arrived in that hour or later. Keys sort as their hours do."""
    return key.split("/", 1)[1] >= f"dt={hour:%Y-%m-%d}/hour={hour:%H}/"
