"""The Kafka broker of the tests with a second entrance that asks for a password, and with access control lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from simulator.sinks.kafka_access import Access
from tests.integration.kafka_broker import KafkaBroker
from tests.waiting import wait_for


class SecuredBroker(KafkaBroker):
    """Who comes by the relay logs in with SASL/PLAIN and may do what an ACL allows; who comes directly may do all."""

    def __init__(self, home: Path, passwords: Mapping[str, str]) -> None:
        super().__init__(home)
        self._passwords = passwords
        users = " ".join(f'user_{name}="{password}"' for name, password in passwords.items())
        settings = home / "server.properties"
        settings.write_text(
            settings.read_text().replace("RELAYED:PLAINTEXT", "RELAYED:SASL_PLAINTEXT")
            + f"""
            authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
            super.users=User:ANONYMOUS
            sasl.enabled.mechanisms=PLAIN
            listener.name.relayed.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \\
                required {users};
            """
        )

    def access(self, user: str, password: str = "") -> Access:
        """How a user reaches the broker; with the right password unless there is another."""
        login = {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanisms": "PLAIN",
            "sasl.username": user,
            "sasl.password": password or self._passwords[user],
        }
        return Access(self.relayed_address, properties=tuple(login.items()))

    def allow(self, user: str, resource: ResourceType, name: str, *operations: AclOperation) -> None:
        admin = AdminClient({"bootstrap.servers": self.address})
        acls = [
            AclBinding(
                resource, name, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW
            )
            for operation in operations
        ]

        def created() -> bool:
            try:
                for future in admin.create_acls(acls, request_timeout=10).values():
                    future.result(timeout=30)
            except KafkaException as error:
                if error.args[0].retriable():
                    return False
                raise
            return True

        wait_for(created, f"the ACLs of {user}")
