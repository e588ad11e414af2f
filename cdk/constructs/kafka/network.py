"""The network of a Kafka cluster: isolated subnets in three zones and what may connect."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Fn
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.constructs.roles import ServiceRole, allow
from cdk.constructs.service_log import ServiceLog

#: Brokers listen here for clients that sign in with IAM:
#: https://docs.aws.amazon.com/msk/latest/developerguide/port-info.html
IAM_PORT = 9098

#: 59 addresses per zone, for ten brokers, Lambda's interfaces and an endpoint. A team that peers its own networks with
#: this one writes a range here that is free there.
_CIDR = "10.98.0.0/24"
_SUBNET_BITS = 26

#: Express brokers stand in three: https://docs.aws.amazon.com/msk/latest/developerguide/msk-broker-types-express.html
_ZONES = 3


class KafkaNetwork(Construct):
    """A VPC without a way to the internet, the cluster's security group, and the endpoint of the failure queue.

    Lambda's pollers are interfaces in these subnets, with the cluster's security group. In provisioned mode they need
    neither a NAT gateway nor endpoints to invoke the function:
    https://docs.aws.amazon.com/lambda/latest/dg/with-msk-cluster-network.html#msk-network-requirements
    The page about failure destinations knows no such exception. It asks for an endpoint of the destination in the
    cluster's VPC, so there is one for SQS: https://docs.aws.amazon.com/lambda/latest/dg/kafka-on-failure.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, failure_queue_arn: str, log_retention_days: int
    ) -> None:
        super().__init__(scope, construct_id)
        self._vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=name,
            ip_addresses=ec2.IpAddresses.cidr(_CIDR),
            # Where the account is not known at synth, the construct would settle for two zones.
            availability_zones=[Fn.select(index, Fn.get_azs()) for index in range(_ZONES)],
            nat_gateways=0,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="Brokers", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=_SUBNET_BITS
                )
            ],
            restrict_default_security_group=True,
        )
        self.security_group = self._group(
            "Brokers", "Kafka brokers and their clients: members may connect to each other"
        )
        self.security_group.connections.allow_internally(ec2.Port.tcp(IAM_PORT), "Kafka with IAM, over TLS")
        self._log_refused(name, log_retention_days)
        self._reach_queue(failure_queue_arn)

    @property
    def subnet_ids(self) -> Sequence[str]:
        """The subnets, one per zone."""
        return [subnet.subnet_id for subnet in self._vpc.isolated_subnets]

    def _group(self, construct_id: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, construct_id, vpc=self._vpc, description=description, allow_all_outbound=False)

    def _log_refused(self, name: str, retention_days: int) -> None:
        """Log refused connections: a client outside the group shows there. Accepted ones would log every poll."""
        log = ServiceLog(self, "Refused", name=f"/aws/vpc/{name}", retention_days=retention_days)
        role = ServiceRole(
            self,
            "FlowLogRole",
            service="vpc-flow-logs.amazonaws.com",
            description="VPC flow logs: writes refused connections",
            statements={
                "WriteLog": [
                    allow(
                        "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents", on=[log.log_group_arn]
                    )
                ]
            },
            wildcards={},
        )
        self._vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(log, role.fixed),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )

    def _reach_queue(self, queue_arn: str) -> None:
        endpoint = ec2.InterfaceVpcEndpoint(
            self,
            "FailureQueueEndpoint",
            vpc=self._vpc,
            service=ec2.InterfaceVpcEndpointAwsService.SQS,
            subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            security_groups=[self._group("FailureQueue", "The endpoint of the failure queue")],
            open=False,
        )
        endpoint.add_to_policy(
            iam.PolicyStatement(principals=[iam.AnyPrincipal()], actions=["sqs:SendMessage"], resources=[queue_arn])
        )
        endpoint.connections.allow_default_port_from(self.security_group, "Lambda's pollers report given up batches")
