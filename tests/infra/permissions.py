"""What the synthesised roles allow, asked the way IAM is: an action on a concrete ARN, as deployed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aws_cdk.assertions import Template

REGION, ACCOUNT = "us-east-1", "000000000000"

#: The part of a Kafka cluster's ARN that MSK makes up.
CLUSTER_UUID = "abcd1234-abcd-cafe-abab-9876543210ab-4"

_PSEUDO = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::URLSuffix": "amazonaws.com"}

#: The ARN of a named resource, without ``arn:aws:``. A log group's really ends like that.
_ARNS = {
    "AWS::DynamoDB::Table": f"dynamodb:{REGION}:{ACCOUNT}:table/{{}}",
    "AWS::KMS::Key": f"kms:{REGION}:{ACCOUNT}:key/{{}}",
    "AWS::KinesisFirehose::DeliveryStream": f"firehose:{REGION}:{ACCOUNT}:deliverystream/{{}}",
    "AWS::Kinesis::Stream": f"kinesis:{REGION}:{ACCOUNT}:stream/{{}}",
    "AWS::MSK::Cluster": f"kafka:{REGION}:{ACCOUNT}:cluster/{{}}/{CLUSTER_UUID}",
    "AWS::Logs::LogGroup": f"logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::S3::Bucket": "s3:::{}",
    "AWS::SNS::Topic": f"sns:{REGION}:{ACCOUNT}:{{}}",
    "AWS::SQS::Queue": f"sqs:{REGION}:{ACCOUNT}:{{}}",
}
_NAMES = ("ClusterName", "Name", "DeliveryStreamName", "LogGroupName", "QueueName", "TopicName")


class Permissions:
    """The roles of all templates, with CloudFormation's references resolved.

    What has no name of its own is called by its logical id without the hash, such as ``Lake``.
    """

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._templates = {part: template.to_json() for part, template in templates.items()}
        self._exports = {
            output["Export"]["Name"]: (part, output["Value"])
            for part, template in self._templates.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def allows(self, user: str, action: str, arn: str, condition: Mapping[str, str] | None = None) -> bool:
        """Whether the role of ``user`` may do ``action`` on ``arn``.

        A user is a stack's part and a construct with a role in it, such as ``alerts.Detector``; ``condition`` are the
        request's condition keys, such as ``{"s3:prefix": "raw/"}``.
        """
        assert user in self.users
        part = user.partition(".")[0]
        return any(
            action in listed(statement["Action"])
            and any(_matches(self.resolved(part, pattern), arn) for pattern in listed(statement["Resource"]))
            and _holds(statement.get("Condition", {}), condition or {})
            for statement in self._statements(user)
        )

    @property
    def users(self) -> set[str]:
        """All there are."""
        return {
            _user(part, name)
            for part, template in self._templates.items()
            for name, resource in template["Resources"].items()
            if resource["Type"] == "AWS::IAM::Role"
        }

    def _statements(self, user: str) -> Iterator[dict[str, Any]]:
        part = user.partition(".")[0]
        for name, resource in self._templates[part]["Resources"].items():
            if resource["Type"] == "AWS::IAM::Role" and _user(part, name) == user:
                for policy in resource["Properties"]["Policies"]:
                    yield from policy["PolicyDocument"]["Statement"]

    def resolved(self, part: str, value: Any) -> str:
        """A value of the template ``part`` as it is once deployed."""
        if isinstance(value, str):
            return value
        ((function, argument),) = value.items()
        match function:
            case "Fn::Join" | "Fn::Select" | "Fn::Sub":
                return self._text(part, function, argument)
            case "Fn::ImportValue":
                return self.resolved(*self._exports[argument])
            case "Ref":
                return _PSEUDO.get(argument) or self._reference(part, argument)
            case "Fn::GetAtt" if argument[1] == "Arn":
                return _arn(*self._resource(part, argument[0]))
        raise NotImplementedError(value)

    def _text(self, part: str, function: str, argument: Any) -> str:
        if function == "Fn::Sub":
            return re.sub(r"\$\{([\w:]+)\}", lambda found: _PSEUDO[found[1]], argument)
        if function == "Fn::Join":
            return str(argument[0]).join(self.resolved(part, piece) for piece in argument[1])
        separator, text = argument[1]["Fn::Split"]
        pieces: list[str] = self.resolved(part, text).split(str(separator))
        return pieces[int(argument[0])]

    def _reference(self, part: str, logical_id: str) -> str:
        kind, name = self._resource(part, logical_id)
        return _arn(kind, name) if kind == "AWS::SNS::Topic" else name

    def _resource(self, part: str, logical_id: str) -> tuple[str, str]:
        """The type and the name of a resource."""
        resource = self._templates[part]["Resources"][logical_id]
        names = [resource["Properties"][key] for key in _NAMES if key in resource["Properties"]]
        return resource["Type"], names[0] if names else logical_id[:-8]


def listed(value: Any) -> list[Any]:
    """A policy's value that may be one or many, as many."""
    return value if isinstance(value, list) else [value]


def _user(part: str, role: str) -> str:
    return f"{part}.{role[:-8].removesuffix('Role')}"


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:{_ARNS[kind].format(name)}"


def _matches(pattern: str, value: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), value) is not None


def _holds(conditions: Mapping[str, Mapping[str, str]], given: Mapping[str, str]) -> bool:
    assert set(conditions) <= {"StringEquals", "StringLike"}
    return all(
        key in given and _matches(pattern, given[key])
        for operands in conditions.values()
        for key, pattern in operands.items()
    )
