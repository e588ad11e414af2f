"""Hours and days of UTC as partitions: the raw zone is cut into hours of arrival, the curated tables into days."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import NamedTuple

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Partition(NamedTuple):
    """The values of the raw zone's partition keys, as they stand in paths."""

    dt: str
    hour: str

    @property
    def path(self) -> str:
        """The folders of the partition below its table, without slashes at the ends."""
        return f"dt={self.dt}/hour={self.hour}"

    @property
    def start(self) -> datetime:
        """When the hour begins; raises ValueError where the values name no hour."""
        return datetime.strptime(f"{self.dt} {self.hour} +0000", "%Y-%m-%d %H %z")


def start_of_hour(moment: datetime) -> datetime:
    """The whole hour of UTC that ``moment`` lies in."""
    return moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)


def partition_at(moment: datetime) -> Partition:
    """The partition of the raw zone that ``moment`` lies in."""
    return Partition(*start_of_hour(moment).strftime("%Y-%m-%d %H").split())


def day_of(moment: datetime) -> str:
    """The day of UTC that ``moment`` lies in: the value of the curated tables' partition key."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d}"


def rfc3339(moment: datetime) -> str:
    """``moment`` in UTC to the second, as a window's ends are written."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
