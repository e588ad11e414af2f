"""The Kafka cluster: Express brokers of Amazon MSK that only clients with IAM reach, over TLS."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_msk as msk
from constructs import Construct

from cdk.constructs.kafka.network import KafkaNetwork
from cdk.constructs.service_log import ServiceLog
from cdk.settings import Settings

#: The version that AWS recommends. Express brokers have 3.6 and later, and so have topics as resources:
#: https://docs.aws.amazon.com/msk/latest/developerguide/supported-kafka-versions.html
_KAFKA_VERSION = "3.8.x"

#: Free, and it has what we watch: lag of consumer groups, CPU, storage. The next level adds some forty metrics per
#: broker, at 0.30 USD a month each: https://docs.aws.amazon.com/msk/latest/developerguide/metrics-details-express.html
_MONITORING = "DEFAULT"


class KafkaCluster(Construct):
    """The cluster and its brokers' log. What brokers store is encrypted with the account's AWS managed key.

    It goes with its stack, as the Kinesis stream does: what it holds is in the raw zone minutes later, and brokers are
    billed by the hour. Public access and connections from other VPCs stay off; MSK refuses both at creation anyway.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, network: KafkaNetwork, settings: Settings
    ) -> None:
        super().__init__(scope, construct_id)
        # The prefix spares a resource policy for each group that a service logs to, of which a region has few:
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-V2-CloudWatchLogs.html
        log = ServiceLog(self, "Log", name=f"/aws/vendedlogs/msk/{name}", retention_days=settings.log_retention_days)
        self.cluster = msk.CfnCluster(
            self,
            "Cluster",
            cluster_name=name,
            kafka_version=_KAFKA_VERSION,
            number_of_broker_nodes=settings.kafka_brokers,
            broker_node_group_info=msk.CfnCluster.BrokerNodeGroupInfoProperty(
                instance_type=settings.kafka_broker_type,
                client_subnets=list(network.subnet_ids),
                security_groups=[network.security_group.security_group_id],
                connectivity_info=msk.CfnCluster.ConnectivityInfoProperty(
                    public_access=msk.CfnCluster.PublicAccessProperty(type="DISABLED")
                ),
            ),
            client_authentication=msk.CfnCluster.ClientAuthenticationProperty(
                sasl=msk.CfnCluster.SaslProperty(
                    iam=msk.CfnCluster.IamProperty(enabled=True), scram=msk.CfnCluster.ScramProperty(enabled=False)
                ),
                unauthenticated=msk.CfnCluster.UnauthenticatedProperty(enabled=False),
            ),
            encryption_info=msk.CfnCluster.EncryptionInfoProperty(
                encryption_in_transit=msk.CfnCluster.EncryptionInTransitProperty(client_broker="TLS", in_cluster=True)
            ),
            enhanced_monitoring=_MONITORING,
            logging_info=msk.CfnCluster.LoggingInfoProperty(
                broker_logs=msk.CfnCluster.BrokerLogsProperty(
                    cloud_watch_logs=msk.CfnCluster.CloudWatchLogsProperty(enabled=True, log_group=log.log_group_name)
                )
            ),
        )
        self.cluster.apply_removal_policy(RemovalPolicy.DESTROY)
