"""A broker with every kind of login that the worker can do, and access control that denies by default.

Whoever comes through the plain listener may do anything: the demo EHR and the tests' own clients. The worker is
`User:worker` by whichever login, and may do what a test allows it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Literal, TypeAlias

from aiokafka.protocol.admin import CreateAclsRequest

from sidecar.intake.deadletter import dead_letter_topic
from sidecar.settings import KafkaSettings
from tests.kafka.fetch import libs
from tests.support.kafka_broker import Broker, free_ports, running
from tests.support.kafka_certificates import Authority
from tests.support.kafka_tokens import AUDIENCE, ISSUER, IdentityProvider

Login: TypeAlias = Literal["scram-sha-512", "scram-sha-256", "plain", "oauthbearer", "certificate"]

USER = "worker"
PASSWORD = "worker-secret"
SECURED = ("SASL_SSL", "SASL_PLAINTEXT")
REAUTHENTICATION_MS = 2000
"""How long the broker lets a token's connection live (KIP-368); then it closes it."""


class Resource(IntEnum):
    TOPIC = 2
    GROUP = 3


class Operation(IntEnum):
    READ = 3
    WRITE = 4


_LITERAL, _ALLOW = 3, 3


@dataclass(frozen=True, slots=True)
class SecuredBroker:
    broker: Broker
    provider: IdentityProvider

    def settings(self, login: Login, topic: str, group_id: str, folder: Path) -> KafkaSettings:
        """Return the worker's settings for one kind of login; its secrets are files in `folder`."""
        (folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
        (folder / "token").write_text(self.provider.token(USER) + "\n", encoding="utf-8")
        (folder / "ca.pem").write_bytes((self._home / "ca.pem").read_bytes())
        base = {"topics": (topic,), "group_id": group_id, "session_timeout_seconds": 6, "ssl_cafile": folder / "ca.pem"}
        by_password = {"sasl_username": USER, "sasl_password_file": folder / "password"}
        sasl = {"security_protocol": "SASL_SSL", "bootstrap_servers": (self.broker.address("SASL_SSL"),)}
        match login:
            case "certificate":
                pem = {"ssl_certfile": self._home / "client.pem", "ssl_keyfile": self._home / "client.key"}
                return KafkaSettings(
                    **base, **pem, security_protocol="SSL", bootstrap_servers=(self.broker.address("SSL"),)
                )
            case "oauthbearer":
                token = {"sasl_mechanism": "OAUTHBEARER", "sasl_oauthbearer_token_file": folder / "token"}
                return KafkaSettings(**base, **sasl, **token)
            case _:
                return KafkaSettings(**base, **sasl, **by_password, sasl_mechanism=login.upper())

    async def allow(self, resource: Resource, name: str, operation: Operation) -> None:
        request = CreateAclsRequest(resource, name, _LITERAL, f"User:{USER}", "*", operation, _ALLOW)
        async with self.broker.admin() as admin:
            answer = await admin._send_request(request)  # aiokafka has no public call for access control
        assert all(result[0] == 0 for result in answer.creation_responses)

    async def allow_worker(self, topic: str, group_id: str) -> None:
        """Give what the worker needs, and no more."""
        await self.allow(Resource.TOPIC, topic, Operation.READ)
        await self.allow(Resource.GROUP, group_id, Operation.READ)
        await self.allow(Resource.TOPIC, dead_letter_topic(topic, group_id), Operation.WRITE)

    @property
    def _home(self) -> Path:
        return self.broker.home


@asynccontextmanager
async def secured_broker(version: str, home: Path) -> AsyncIterator[SecuredBroker]:
    provider = IdentityProvider.create()
    keys = provider.write_key_set(home / "keys.json")
    _write_certificates(home)
    ports = free_ports("PLAINTEXT", "CONTROLLER", *SECURED, "SSL")
    allowed = {"org.apache.kafka.sasl.oauthbearer.allowed.urls": keys.as_uri()}
    broker = Broker(home, libs(version), ports, _properties(home, keys), allowed)
    await broker.format(_users("SCRAM-SHA-512", "SCRAM-SHA-256"))
    async with running(broker):
        yield SecuredBroker(broker, provider)


def _users(*mechanisms: str) -> list[str]:
    return [
        part for mechanism in mechanisms for part in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
    ]


def _write_certificates(home: Path) -> None:
    authority = Authority.create("Test CA")
    authority.write(home / "ca.pem")
    authority.issue("broker", home / "server.crt", home / "server.key")
    (home / "server.pem").write_bytes((home / "server.key").read_bytes() + (home / "server.crt").read_bytes())
    authority.issue(USER, home / "client.pem", home / "client.key")


def _properties(home: Path, keys: Path) -> dict[str, str]:
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(home / "server.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(home / "ca.pem"),
        "listener.name.ssl.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,SCRAM-SHA-256,PLAIN,OAUTHBEARER",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        **{name: value for listener in SECURED for name, value in _login_properties(listener.lower(), keys).items()},
    }


def _login_properties(listener: str, keys: Path) -> dict[str, str]:
    package, prefix = "org.apache.kafka.common.security", f"listener.name.{listener}"
    oauth = f"{prefix}.oauthbearer"
    return {
        f"{prefix}.scram-sha-512.sasl.jaas.config": f"{package}.scram.ScramLoginModule required;",
        f"{prefix}.scram-sha-256.sasl.jaas.config": f"{package}.scram.ScramLoginModule required;",
        f"{prefix}.plain.sasl.jaas.config": f'{package}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        f"{oauth}.sasl.jaas.config": f"{package}.oauthbearer.OAuthBearerLoginModule required;",
        # The validator of production, not the unsecured one: signature, audience, issuer and time are checked.
        f"{oauth}.sasl.server.callback.handler.class": f"{package}.oauthbearer.OAuthBearerValidatorCallbackHandler",
        f"{oauth}.sasl.oauthbearer.jwks.endpoint.url": keys.as_uri(),
        f"{oauth}.sasl.oauthbearer.expected.audience": AUDIENCE,
        f"{oauth}.sasl.oauthbearer.expected.issuer": ISSUER,
        f"{oauth}.connections.max.reauth.ms": str(REAUTHENTICATION_MS),
    }
