"""cdk-nag's AwsSolutions rules: no finding without a reason beside the resource."""

from __future__ import annotations

from aws_cdk import App, Stack
from aws_cdk import aws_msk as msk
from aws_cdk import aws_s3 as s3
from cdk_nag import AwsSolutionsChecks

from tests.infra.conftest import new_app


def _findings(app: App) -> list[str]:
    return sorted(
        f"{violation.rule_name} {resource.construct_path}"
        for violation in AwsSolutionsChecks(app).validate_scope(app).violations
        for resource in violation.violating_resources
    )


def test_should_leave_no_finding_unexplained() -> None:
    assert _findings(new_app()) == []


def test_should_leave_no_finding_unexplained_where_data_goes_with_its_stack() -> None:
    assert _findings(new_app(delete_data_on_destroy="true", stream_mode="provisioned", shards="2")) == []


def test_should_leave_no_finding_unexplained_where_spark_curates() -> None:
    assert _findings(new_app(stage="prod", etl_engine="spark")) == []


def test_should_leave_no_finding_unexplained_with_a_topic() -> None:
    assert _findings(new_app(ingest="msk")) == []


def test_should_find_a_cluster_that_breaks_the_rules() -> None:
    app = new_app(ingest="msk")
    cluster = app.node.find_child("iot-dev-ingest").node.find_child("Kafka").node.find_child("Cluster")
    assert isinstance(cluster, msk.CfnCluster)
    cluster.encryption_info = msk.CfnCluster.EncryptionInfoProperty(
        encryption_in_transit=msk.CfnCluster.EncryptionInTransitProperty(client_broker="PLAINTEXT", in_cluster=False)
    )
    cluster.logging_info = None

    assert [finding.split()[0] for finding in _findings(app)] == [f"AwsSolutions-MSK{number}" for number in (2, 3, 6)]


def test_should_find_a_bucket_that_breaks_the_rules() -> None:
    app = new_app()
    s3.Bucket(
        Stack(app, "iot-dev-mistake"),
        "Public",
        public_read_access=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ACLS_ONLY,
    )

    findings = _findings(app)

    assert any(finding.startswith("AwsSolutions-S1 ") for finding in findings)
    assert any(finding.startswith("AwsSolutions-S10 ") for finding in findings)
    assert all("iot-dev-mistake" in finding for finding in findings)
