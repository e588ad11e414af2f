"""The Athena workgroup that queries go through."""

from __future__ import annotations

from aws_cdk import aws_athena as athena
from aws_cdk import aws_s3 as s3
from constructs import Construct

#: Athena takes no smaller limit than 10 MB: https://docs.aws.amazon.com/athena/latest/APIReference/API_WorkGroupConfiguration.html
_BYTES_PER_GB = 1_000_000_000


class QueryWorkGroup(athena.CfnWorkGroup):
    """Its configuration overrides a client's: every query is cut off at the limit, every result is encrypted."""

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, results: s3.IBucket, scan_limit_gb: float
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            name=name,
            description="Queries on the readings",
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=int(scan_limit_gb * _BYTES_PER_GB),
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=results.s3_url_for_object("results/"),
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )
