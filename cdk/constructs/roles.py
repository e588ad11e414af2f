"""Role of one function, job or service, with all its permissions where it is created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk.constructs.findings import acknowledge_wildcard


def allow(
    *actions: str, on: Sequence[str], conditions: Mapping[str, Mapping[str, str]] | None = None
) -> iam.PolicyStatement:
    """Return a statement that allows ``actions`` on the ARNs ``on``."""
    return iam.PolicyStatement(actions=list(actions), resources=list(on), conditions=conditions)


class ServiceRole(iam.Role):
    """A role that only ``service`` assumes.

    The statements are part of the role itself and not a policy attached later: a resource that gets the
    role can use it at once, with no dependency to forget. Constructs that would widen it by themselves do not
    get to: see :attr:`fixed`. ``wildcards`` says for each resource with an asterisk why nothing narrower does;
    ``conditions`` narrow on whose behalf the service assumes it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        service: str,
        description: str,
        statements: Mapping[str, Sequence[iam.PolicyStatement]],
        wildcards: Mapping[str, str],
        conditions: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            assumed_by=iam.ServicePrincipal(service, conditions=conditions),
            description=description,
            inline_policies={name: iam.PolicyDocument(statements=list(of)) for name, of in statements.items()},
        )
        for arn, reason in wildcards.items():
            acknowledge_wildcard(self, arn, reason)

    @property
    def fixed(self) -> iam.IRole:
        """The role without changes: grants by other constructs are ignored."""
        return self.without_policy_updates()
