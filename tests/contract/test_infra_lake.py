"""What the curation writes beside its tables lies where the infrastructure lets it, and expires as it says."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from glue_jobs.curate.zones import index, ledger
from glue_jobs.curate.zones.curated import CuratedZone
from pipeline.names import CURATION_INDEX_PREFIX, CURATION_PREFIX, DEVICES_KEY

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_s3.client import S3Client


class _RecordingS3:
    """Takes uploads and keeps what was put where."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def upload_fileobj(self, body: IO[bytes], bucket: str, key: str) -> None:
        self.objects[bucket, key] = body.read()


def test_should_put_the_table_of_devices_where_the_job_may(tmp_path: Path) -> None:
    s3 = _RecordingS3()
    file = tmp_path / "devices.parquet"
    file.write_bytes(b"PAR1")

    zone = CuratedZone(cast("S3Client", s3), cast("GlueClient", None), bucket="lake", database="iot_dev", run="run")
    zone.replace_devices(file)

    assert s3.objects == {("lake", DEVICES_KEY): b"PAR1"}


def test_should_expire_the_index_and_not_the_position() -> None:
    assert index.PREFIX.startswith(CURATION_INDEX_PREFIX)
    assert ledger.PREFIX.startswith(CURATION_PREFIX)
    assert not ledger.PREFIX.startswith(CURATION_INDEX_PREFIX)
