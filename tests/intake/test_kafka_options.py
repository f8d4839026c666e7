"""Options of the Kafka clients from the settings, and what is said of a broker that cannot be used."""

from __future__ import annotations

import asyncio
import base64
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st

from sidecar.demo.broker import EmbeddedBroker
from sidecar.errors import ConfigError
from sidecar.intake.deadletter import dead_letter_topic
from sidecar.intake.kafka import TokenExpired, TokenFile, client_options, expiry, find_faults
from sidecar.settings import KafkaSettings
from tests.support.kafka_certificates import Authority

SERVER = "127.0.0.1:9092"


def settings(**changes: Any) -> KafkaSettings:
    return KafkaSettings(**{"bootstrap_servers": (SERVER,), "topics": ("notes",), "group_id": "g", **changes})


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("secret\n")
    return path


@pytest.fixture
def authority() -> Authority:
    return Authority.create("Test CA")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_login_by_password_reads_its_file(password: Path, mechanism: str) -> None:
    options = client_options(
        settings(
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=mechanism,
            sasl_username="worker",
            sasl_password_file=password,
        )
    )
    assert options["sasl_mechanism"] == mechanism
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("worker", "secret")
    assert "ssl_context" not in options


def test_a_renewed_password_is_taken_with_the_next_client(password: Path) -> None:
    site = settings(security_protocol="SASL_PLAINTEXT", sasl_username="worker", sasl_password_file=password)
    client_options(site)
    password.write_text("renewed")
    assert client_options(site)["sasl_plain_password"] == "renewed"


def test_no_login_is_sent_where_the_protocol_has_none(password: Path) -> None:
    options = client_options(settings(sasl_username="worker", sasl_password_file=password))
    assert not [name for name in options if name.startswith("sasl")]


def test_tls_verifies_the_broker_and_its_name(tmp_path: Path, authority: Authority) -> None:
    context = client_options(settings(security_protocol="SSL", ssl_cafile=authority.write(tmp_path / "ca")))[
        "ssl_context"
    ]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


SASL = {"security_protocol": "SASL_PLAINTEXT"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bootstrap_servers": ()}, "kafka.bootstrap_servers is empty"),
        ({**SASL, "sasl_username": "worker"}, "sasl_password_file are needed"),
        ({**SASL, "sasl_password_file": Path("p")}, "sasl_username and"),
        ({**SASL, "sasl_username": "w", "sasl_password_file": Path("missing")}, "missing: secret cannot be read"),
        ({**SASL, "sasl_mechanism": "OAUTHBEARER"}, "sasl_oauthbearer_token_file is needed"),
        (
            {**SASL, "sasl_mechanism": "OAUTHBEARER", "sasl_oauthbearer_token_file": Path("missing")},
            "missing: secret cannot be read",
        ),
        ({"security_protocol": "SSL", "ssl_cafile": Path("missing")}, "ssl_cafile, ssl_certfile or ssl_keyfile"),
    ],
)
def test_what_cannot_work_is_said_before_a_connection(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        client_options(settings(**changes))


def test_an_encrypted_key_is_refused_and_not_asked_for_on_the_terminal(tmp_path: Path, authority: Authority) -> None:
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    authority.issue("worker", certificate, key)
    plain = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(ConfigError, match="the key not encrypted"):
        client_options(settings(security_protocol="SSL", ssl_certfile=certificate, ssl_keyfile=key))


def jwt(**claims: Any) -> str:
    return f"e30.{base64.urlsafe_b64encode(orjson.dumps(claims)).decode().rstrip('=')}.sig"


async def test_a_token_is_read_anew_for_every_connection(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    site = settings(**SASL, sasl_mechanism="OAUTHBEARER", sasl_oauthbearer_token_file=path)
    provider = client_options(site)["sasl_oauth_token_provider"]
    assert await provider.token() == "first"
    path.write_text(jwt(exp=2**40))
    assert await provider.token() == jwt(exp=2**40)


async def test_an_expired_or_missing_token_is_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(FileNotFoundError):
        await TokenFile(path).token()
    path.write_text(jwt(exp=1000))
    with pytest.raises(TokenExpired):
        await TokenFile(path).token()
    assert issubclass(TokenExpired, OSError)  # what aiokafka takes for a server out of reach


async def test_a_token_of_bad_bytes_is_left_to_the_broker(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(b"\xff\xfe.\xff")
    assert await TokenFile(path).token()


@given(
    st.text(max_size=60)
    | st.dictionaries(st.sampled_from(["exp", "sub"]), st.none() | st.text()).map(lambda d: jwt(**d))
)
def test_what_does_not_say_when_it_expires_does_not(token: str) -> None:
    assert expiry(token) == math.inf


@given(st.integers(0, 2**50) | st.floats(0, 1e12))
def test_the_expiry_of_a_token_is_that_of_its_claim(seconds: float) -> None:
    assert expiry(jwt(exp=seconds)) == seconds


@asynccontextmanager
async def listening(host: str = "127.0.0.1", *, silent: bool = False, **options: Any) -> AsyncIterator[str]:
    """Listen as something that is no broker: it hangs up at once, or says nothing."""
    writers: list[asyncio.StreamWriter] = []

    def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if not silent:
            writer.close()

    async with await asyncio.start_server(accept, host, 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"{host}:{port}"
    for writer in writers:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def test_nobody_there_is_told_from_a_refusal() -> None:
    async with listening() as there:
        pass
    (fault,) = await find_faults(settings(bootstrap_servers=(there,)))
    assert fault == f"{there} is not reachable (ConnectionRefusedError): address, port, firewall?"


async def test_a_server_that_hangs_up_or_stays_silent_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.intake.kafka.PROBE_MILLISECONDS", 200)
    async with listening() as rude, listening(silent=True) as mute:
        faults = await find_faults(settings(bootstrap_servers=(rude, mute)))
    assert faults[0].startswith(f"{rude} hangs up; does kafka.security_protocol fit")
    assert faults[1] == f"{mute} does not answer; is this the port of a Kafka broker?"


@pytest.mark.parametrize(("host", "trusted"), [("127.0.0.1", False), ("127.0.0.2", True)])
async def test_a_foreign_certificate_or_one_for_another_name_is_named(
    tmp_path: Path, authority: Authority, host: str, trusted: bool
) -> None:
    certificate, key = tmp_path / "c", tmp_path / "k"
    authority.issue("broker", certificate, key)  # for 127.0.0.1
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    ca = (authority if trusted else Authority.create("Other CA")).write(tmp_path / "ca")
    async with listening(host, ssl=context) as server:
        (fault,) = await find_faults(settings(bootstrap_servers=(server,), security_protocol="SSL", ssl_cafile=ca))
    assert "kafka.ssl_cafile does not vouch for" in fault


async def test_a_broker_that_lets_us_in_has_no_faults_but_the_missing_topic(broker: EmbeddedBroker, topic: str) -> None:
    site = settings(bootstrap_servers=("127.0.0.1:9", broker.bootstrap_servers), topics=(topic,))
    assert await find_faults(site) == [f"topic {topic} does not exist"]
    await broker.create_topic(topic, 1)
    assert await find_faults(site) == []
    assert await find_faults(site.model_copy(update={"topics": (topic, dead_letter_topic(topic, "g"))})) != []
