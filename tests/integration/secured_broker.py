"""The Kafka broker of the tests with TLS, log-ins and access control lists for who comes by the relay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from simulator.sinks.kafka_access import Access
from tests.integration.kafka_broker import KafkaBroker


class SecuredBroker(KafkaBroker):
    """Who comes by the relay logs in over TLS and may do what an ACL allows; who comes directly may do all.

    It knows users with passwords (PLAIN). It offers OAUTHBEARER too, which is how clients log in with IAM at Amazon
    MSK, and accepts no token of AWS.
    """

    def __init__(self, home: Path, passwords: Mapping[str, str]) -> None:
        super().__init__(home)
        self._passwords = passwords
        authority = trustme.CA()
        self.authority = home / "ca.pem"
        authority.cert_pem.write_to_path(self.authority)
        (home / "server.pem").write_bytes(_key_and_certificates(authority.issue_cert("127.0.0.1")))
        users = " ".join(f'user_{name}="{password}"' for name, password in passwords.items())
        module = "org.apache.kafka.common.security"
        settings = home / "server.properties"
        settings.write_text(
            settings.read_text().replace("RELAYED:PLAINTEXT", "RELAYED:SASL_SSL")
            + f"""
            authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
            super.users=User:ANONYMOUS
            sasl.enabled.mechanisms=PLAIN,OAUTHBEARER
            listener.name.relayed.ssl.keystore.type=PEM
            listener.name.relayed.ssl.keystore.location={home / "server.pem"}
            listener.name.relayed.plain.sasl.jaas.config={module}.plain.PlainLoginModule required {users};
            listener.name.relayed.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required;
            """
        )

    def access(self, user: str, password: str = "") -> Access:
        """How a user reaches the broker; with the right password unless there is another."""
        login = {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(self.authority),
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
        for future in admin.create_acls(acls, request_timeout=10).values():
            future.result(timeout=30)


def _key_and_certificates(server: trustme.LeafCert) -> bytes:
    """Return a PEM file as Kafka reads it: the key in PKCS 8."""
    key = load_pem_private_key(server.private_key_pem.bytes(), None)
    return b"".join(
        [
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            *(certificate.bytes() for certificate in server.cert_chain_pems),
        ]
    )
