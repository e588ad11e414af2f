"""Lifecycle of objects in the raw zone and the lake: cheaper storage first, then expiration.

S3 moves no object smaller than 128 KB, which would be billed as 128 KB or not be watched where it goes:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
"""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_s3 as s3

from cdk.settings import Settings
from pipeline.names import (
    ALERTS_ERRORS_PREFIX,
    CURATION_INDEX_PREFIX,
    RAW_PREFIX,
)
from telemetry.tables.lake import TABLES
from telemetry.tables.raw import RAW

#: Hardly anybody reads raw objects once they are curated, and a reprocessing that does finds them at once, for a fee.
_RAW_ARCHIVE = s3.StorageClass.GLACIER_INSTANT_RETRIEVAL

#: Not Standard-IA: that bills reads, thirty days at least and 128 KB at least, so one report over last year costs more
#: than it saved, and so does a partition that is written again. Intelligent-Tiering moves each object by whether it is
#: read, for a fee per thousand objects: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intelligent-tiering-overview.html
_CURATED_ARCHIVE = s3.StorageClass.INTELLIGENT_TIERING

#: The folders of the lake bucket in which others than the curation put objects.
_DELIVERED = tuple(f"{table.name}/" for table in TABLES if table.kind == "delivered" and table is not RAW)


def raw_lifecycle(settings: Settings) -> list[s3.LifecycleRule]:
    """Return the rule that archives curated raw objects; the bucket expires them itself."""
    archived = _archived(_RAW_ARCHIVE, settings.raw_archive_after_days)
    return [s3.LifecycleRule(prefix=RAW_PREFIX, transitions=archived)] if archived else []


def lake_lifecycle(settings: Settings) -> list[s3.LifecycleRule]:
    """Return rules per folder that grows; the curation's current state and the devices stay."""
    archived = _archived(_CURATED_ARCHIVE, settings.curated_archive_after_days)
    kept = settings.curated_retention_days
    end = Duration.days(kept) if kept else None
    return [
        *(
            s3.LifecycleRule(prefix=f"{table.name}/", expiration=end, transitions=archived)
            for table in TABLES
            if table.kind == "curated" and (end or archived)
        ),
        *(s3.LifecycleRule(prefix=prefix, expiration=end) for prefix in (*_DELIVERED, ALERTS_ERRORS_PREFIX) if end),
        # A day longer than the raw objects it is about: without it, late readings would replace those it forgot.
        s3.LifecycleRule(prefix=CURATION_INDEX_PREFIX, expiration=Duration.days(settings.raw_retention_days + 1)),
    ]


def _archived(to: s3.StorageClass, after_days: int) -> list[s3.Transition] | None:
    return [s3.Transition(storage_class=to, transition_after=Duration.days(after_days))] if after_days else None
