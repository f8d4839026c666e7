"""Connection options of the Kafka clients, from settings in Kafka's own words."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from aiokafka.helpers import create_ssl_context

from sidecar.errors import ConfigError
from sidecar.settings import read_secret

if TYPE_CHECKING:
    from sidecar.settings import KafkaSettings


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the arguments that consumer, producer and admin client share.

    Raises `ConfigError` when a file that the protocol needs cannot be used.
    """
    if not settings.bootstrap_servers:
        raise ConfigError("kafka.bootstrap_servers is empty: set it, or SIDECAR_KAFKA__BOOTSTRAP_SERVERS")
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.startswith("SASL"):
        if not settings.sasl_username or settings.sasl_password_file is None:
            raise ConfigError("kafka.sasl_username and kafka.sasl_password_file are needed for SASL")
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = read_secret(settings.sasl_password_file)
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    return options


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=settings.ssl_cafile, certfile=settings.ssl_certfile, keyfile=settings.ssl_keyfile
        )
    except (OSError, ssl.SSLError) as error:
        msg = f"kafka.ssl_cafile, ssl_certfile or ssl_keyfile cannot be used ({type(error).__name__})"
        raise ConfigError(msg) from None
    return context
