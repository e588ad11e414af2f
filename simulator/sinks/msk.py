"""Amazon MSK: the brokers of a cluster, and the log-in with IAM."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import ClientError

from simulator.sinks.sink import SinkError

#: Of a cluster that is not active AWS says BadRequestException, and why.
#: https://docs.aws.amazon.com/msk/1.0/apireference/clusters-clusterarn-bootstrap-brokers.html
_NOT_ALLOWED = frozenset({"AccessDeniedException", "ForbiddenException", "UnauthorizedException"})


def region_of(cluster_arn: str) -> str:
    """Return the AWS region in the ARN of a cluster."""
    return cluster_arn.split(":")[3]


def find_brokers(cluster_arn: str) -> str:
    """Return the brokers of a cluster for a client that logs in with IAM, ``HOST:PORT``, separated by commas.

    Raises :class:`~simulator.sinks.sink.SinkError` with what to do if the cluster names none.
    """
    client = boto3.client("kafka", region_name=region_of(cluster_arn))
    try:
        answer = client.get_bootstrap_brokers(ClusterArn=cluster_arn)
    except ClientError as error:
        raise SinkError(_explain(cluster_arn, error)) from error
    brokers: str = answer.get("BootstrapBrokerStringSaslIam", "")
    if not brokers:
        raise SinkError(
            f"the MSK cluster {cluster_arn} has no brokers for clients with IAM; "
            "wait until it is active, and turn on IAM access control if it is off"
        )
    return brokers


def iam_settings(region: str | None) -> dict[str, Any]:
    """Return the settings of librdkafka for the log-in with the AWS credentials of the environment, over TLS.

    ``region`` is the cluster's; that of the environment if it is None. Raises ValueError,
    :class:`~simulator.sinks.sink.SinkError` or BotoCoreError where the environment has no region or no credentials.
    https://docs.aws.amazon.com/msk/latest/developerguide/iam-access-control.html
    """
    from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415  # most runs never need it

    session = boto3.Session()
    region = region or session.region_name
    if not region:
        raise ValueError("--msk-iam needs the cluster's AWS region: set AWS_DEFAULT_REGION")
    if session.get_credentials() is None:
        raise SinkError("--msk-iam found no AWS credentials: set AWS_PROFILE, or log in with 'aws sso login'")

    def token(_config: str) -> tuple[str, float]:
        """Return a token and when it expires: Unix time, seconds. Librdkafka asks for the next one in time."""
        signed, expires_ms = MSKAuthTokenProvider.generate_auth_token(region)
        return signed, expires_ms / 1000

    token("")  # whatever is wrong with the credentials is raised here, and librdkafka would only say that time is up
    return {"security.protocol": "SASL_SSL", "sasl.mechanisms": "OAUTHBEARER", "oauth_cb": token}


def _explain(cluster_arn: str, error: ClientError) -> str:
    code, message = (error.response["Error"].get(part, "") for part in ("Code", "Message"))
    if code in _NOT_ALLOWED:
        return (
            f"this identity is not allowed to ask for the brokers of the MSK cluster {cluster_arn} ({code}); "
            "allow it kafka:GetBootstrapBrokers on the cluster"
        )
    return " ".join(
        f"the MSK cluster {cluster_arn} names no brokers ({code}: {message}); "
        "check with 'aws kafka describe-cluster-v2' that it exists and is active".split()
    )
