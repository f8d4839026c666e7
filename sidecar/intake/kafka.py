"""Connecting to Kafka: the clients' options, from settings in Kafka's own words, and what stands in the way."""

from __future__ import annotations

import asyncio
import base64
import math
import ssl
import time
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    UnsupportedSaslMechanismError,
)
from aiokafka.helpers import create_ssl_context
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest

from sidecar.errors import ConfigError
from sidecar.intake.deadletter import dead_letter_topic
from sidecar.settings import read_secret

if TYPE_CHECKING:
    from pathlib import Path

    from aiokafka.conn import AIOKafkaConnection

    from sidecar.settings import KafkaSettings

# How soon a topic that was created or allowed meanwhile is found; aiokafka's own 5 minutes try an operator's patience.
METADATA_MILLISECONDS = 60_000
PROBE_MILLISECONDS = 5000
GROUP_COORDINATOR = 0  # the other kind of coordinator is of transactions


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the arguments that consumer, producer and admin client share.

    Files are read now, but for the OAuth token, which is read at every connection: call it again for each
    client that is opened, so that a renewed password or certificate needs no restart. Raises `ConfigError`
    when a file that the protocol needs cannot be used.
    """
    if not settings.bootstrap_servers:
        raise ConfigError("kafka.bootstrap_servers is empty: set it, or SIDECAR_KAFKA__BOOTSTRAP_SERVERS")
    return {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "metadata_max_age_ms": METADATA_MILLISECONDS,
        **_security(settings),
    }


def _security(settings: KafkaSettings) -> dict[str, Any]:
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.security_protocol.startswith("SASL"):
        options |= _login(settings)
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    return options


def _login(settings: KafkaSettings) -> dict[str, Any]:
    if settings.sasl_mechanism == "OAUTHBEARER":
        if settings.sasl_oauthbearer_token_file is None:
            raise ConfigError("kafka.sasl_oauthbearer_token_file is needed for OAUTHBEARER")
        read_secret(settings.sasl_oauthbearer_token_file)
        provider = TokenFile(settings.sasl_oauthbearer_token_file)
        return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": provider}
    if not settings.sasl_username or settings.sasl_password_file is None:
        raise ConfigError("kafka.sasl_username and kafka.sasl_password_file are needed for SASL")
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": read_secret(settings.sasl_password_file),
    }


class TokenExpired(OSError):
    """Of the kind that aiokafka takes for a server out of reach, and tries again."""


class TokenFile(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka ships no types
    """An access token that somebody else renews: a projected service account token, or an agent of the IdP."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """Return the token as it is now. Raises `OSError`, on which aiokafka tries again later.

        An expired one is not even offered: aiokafka 0.14 overlooks the broker's refusal (it ends after one step,
        RFC 7628 has two), and a client that starts so finds no broker until it is opened again.
        """
        # What is no text is no token: the broker refuses it, and the next connection reads the file again.
        text = await asyncio.to_thread(self._path.read_text, encoding="utf-8", errors="replace")
        token = text.strip()
        if expiry(token) <= time.time():
            raise TokenExpired
        return token


def expiry(token: str) -> float:
    """Return the time in seconds at which a JWT expires; infinity when it does not say, or is no JWT."""
    try:
        body = token.split(".")[1]
        expires = orjson.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"]
    except (IndexError, KeyError, TypeError, ValueError):
        return math.inf
    return float(expires) if isinstance(expires, int | float) else math.inf


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        # Some password, be it empty: without one OpenSSL asks for that of an encrypted key on the terminal.
        context: ssl.SSLContext = create_ssl_context(
            cafile=settings.ssl_cafile, certfile=settings.ssl_certfile, keyfile=settings.ssl_keyfile, password=""
        )
    except (OSError, ssl.SSLError) as error:
        msg = (
            f"kafka.ssl_cafile, ssl_certfile or ssl_keyfile cannot be used ({type(error).__name__}):"
            " PEM files, the key not encrypted"
        )
        raise ConfigError(msg) from None
    return context


async def find_faults(settings: KafkaSettings) -> list[str]:
    """Return what keeps a worker from its topics and its group, each in words that say what to change.

    aiokafka's own clients fold every cause into "unable to bootstrap", so this asks on one bare connection, of
    the first server that lets us in. It creates no topic and joins no group; that a topic which may be
    described may also be read or written is not asked. Raises `ConfigError`.
    """
    servers, security = client_options(settings)["bootstrap_servers"], _security(settings)
    faults = []
    for host, port, _family in collect_hosts(servers, randomize=False):
        try:
            connection = await create_conn(host, port, request_timeout_ms=PROBE_MILLISECONDS, **security)
        except (KafkaError, OSError, TimeoutError) as error:
            faults.append(f"{host}:{port} {_explain(error)}")
            continue
        try:
            return [*await _denied_topics(connection, settings), *await _denied_group(connection, settings)]
        except (KafkaError, OSError, TimeoutError) as error:
            faults.append(f"{host}:{port} {_explain_silence(error, settings)}")
        finally:
            connection.close()
    return faults


# The first that fits: a certificate's error is an SSLError too, and that an OSError.
EXPLANATIONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (ssl.SSLCertVerificationError,),
        "has a certificate that kafka.ssl_cafile does not vouch for, or one for another host name",
    ),
    (
        (TokenExpired,),
        "was not tried: the token of kafka.sasl_oauthbearer_token_file has expired; does its agent run?",
    ),
    (
        (SaslAuthenticationFailed,),
        "refuses the login; check kafka.sasl_username, sasl_password_file and sasl_mechanism",
    ),
    (
        (UnsupportedSaslMechanismError,),
        "does not offer this kafka.sasl_mechanism; take one that it does",
    ),
    (
        (IllegalSaslStateError,),
        "asks for no login on this port; check the port and kafka.security_protocol",
    ),
    (
        (ssl.SSLError, ConnectionResetError, KafkaConnectionError),
        "hangs up; does kafka.security_protocol fit this port, and does it want kafka.ssl_certfile?",
    ),
    (
        (TimeoutError,),
        "does not answer; is this the port of a Kafka broker?",
    ),
)


def _explain(error: Exception) -> str:
    for kinds, explanation in EXPLANATIONS:
        if isinstance(error, kinds):
            return explanation
    return f"is not reachable ({type(error).__name__}): address, port, firewall?"


def _explain_silence(error: Exception, settings: KafkaSettings) -> str:
    """Explain a connection that was made and then broke: aiokafka takes a refused token for accepted."""
    if settings.security_protocol.startswith("SASL") and settings.sasl_mechanism == "OAUTHBEARER":
        return "refuses the token of kafka.sasl_oauthbearer_token_file; are issuer, audience and scope what it expects?"
    return _explain(error)


async def _denied_topics(connection: AIOKafkaConnection, settings: KafkaSettings) -> list[str]:
    dead = [dead_letter_topic(topic, settings.group_id) for topic in settings.topics]
    answer = await connection.send(MetadataRequest([*settings.topics, *dead], allow_auto_topic_creation=False))
    codes = {topic: code for code, topic, *_ in answer.topics}
    missing = [topic for topic in settings.topics if codes.get(topic) == UnknownTopicOrPartitionError.errno]
    denied = TopicAuthorizationFailedError.errno
    return [
        *(f"topic {topic} does not exist" for topic in missing),
        *(f"topic {topic}: access denied; allow READ on it" for topic in settings.topics if codes.get(topic) == denied),
        *(f"topic {topic}: access denied; allow WRITE on it" for topic in dead if codes.get(topic) == denied),
    ]


async def _denied_group(connection: AIOKafkaConnection, settings: KafkaSettings) -> list[str]:
    answer = await connection.send(FindCoordinatorRequest(settings.group_id, GROUP_COORDINATOR))
    if answer.error_code == GroupAuthorizationFailedError.errno:
        return [f"group {settings.group_id}: access denied; allow READ on it"]
    return []
