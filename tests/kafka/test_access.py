"""Logins, encryption and access control on Apache Kafka: what the worker needs, and what it says when it lacks it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError

from sidecar.app import open_worker
from sidecar.checkup import Grade, Result, check_all
from sidecar.intake.deadletter import dead_letter_topic
from sidecar.intake.kafka import TokenFile, client_options, find_faults
from tests.support.kafka_certificates import Authority
from tests.support.kafka_groups import end_offsets
from tests.support.kafka_security import PASSWORD, USER, Login, Operation, Resource, SecuredBroker
from tests.support.notes import document
from tests.support.topic import committed
from tests.worker.test_worker import PARTITIONS, Site, Steps

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def _short_metadata_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a client find within a second what was allowed meanwhile."""
    monkeypatch.setattr("sidecar.intake.kafka.METADATA_MILLISECONDS", 500)


def with_login(site: Site, kafka: SecuredBroker, login: Login, folder: Path) -> Site:
    """Let the worker of a site come through the broker's other doors."""
    settings = kafka.settings(login, site.topic, site.group, folder)
    return replace(site, settings=site.settings.model_copy(update={"kafka": settings}))


async def done_and_end(site: Site, kafka: SecuredBroker) -> tuple[dict[int, int], dict[int, int]]:
    done = await committed(site.broker.bootstrap_servers, site.topic, site.group, PARTITIONS)
    ends = await end_offsets(kafka.broker, site.topic, PARTITIONS)
    return done, {partition: end for partition, end in ends.items() if end}


async def ends_of_both(steps: Steps) -> None:
    """Wait for a draft and for a dead letter, which take everything that a worker may do."""
    assert await steps.outcome("DocumentReference/a") == "filed"
    await steps.until(lambda: "not-json" in [outcome for _, outcome in steps.ended])


@pytest.mark.parametrize("login", get_args(Login))
async def test_every_login_works_with_the_least_access(
    kafka: SecuredBroker, site: Site, tmp_path: Path, login: Login
) -> None:
    await kafka.allow_worker(site.topic, site.group)
    site = with_login(site, kafka, login, tmp_path)
    assert await find_faults(site.settings.kafka) == []
    async with site.worker() as steps:
        await site.publish(b"{not json")
        await site.ehr.load(document("a"))
        await ends_of_both(steps)
    done, ends = await done_and_end(site, kafka)
    assert done == ends


async def test_the_least_access_opens_nothing_else(kafka: SecuredBroker, site: Site, tmp_path: Path) -> None:
    await kafka.allow_worker(site.topic, site.group)
    other = f"other-{site.topic}"
    await kafka.broker.create_topic(other, 1)
    options = client_options(kafka.settings("scram-sha-512", site.topic, site.group, tmp_path))
    for topic in (site.topic, other):
        async with AIOKafkaProducer(**options) as producer:
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait(topic, b"x")
    for topic, group in (
        (other, site.group),
        (dead_letter_topic(site.topic, site.group), site.group),
        (site.topic, other),
    ):
        consumer = AIOKafkaConsumer(topic, **options, group_id=group)
        with pytest.raises((TopicAuthorizationFailedError, GroupAuthorizationFailedError)):
            await read_one(consumer)


async def read_one(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.start()
        await consumer.getone()
    finally:
        await consumer.stop()


@dataclass(frozen=True, slots=True)
class Door:
    """A site whose worker does not get in yet."""

    kafka: SecuredBroker
    site: Site
    folder: Path

    def allow_topic(self) -> Awaitable[None]:
        return self.kafka.allow(Resource.TOPIC, self.site.topic, Operation.READ)

    def allow_group(self) -> Awaitable[None]:
        return self.kafka.allow(Resource.GROUP, self.site.group, Operation.READ)

    def allow_dead_letters(self) -> Awaitable[None]:
        dead = dead_letter_topic(self.site.topic, self.site.group)
        return self.kafka.allow(Resource.TOPIC, dead, Operation.WRITE)

    async def allow_all(self) -> None:
        await self.kafka.allow_worker(self.site.topic, self.site.group)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """`said` is in the fault that is found, `logged` in a log line of a worker that has met it."""

    login: Login
    put: Callable[[Door], Awaitable[None]]
    remove: Callable[[Door], Awaitable[None]]
    said: str
    logged: str


async def wrong_password(door: Door) -> None:
    await door.allow_all()
    (door.folder / "password").write_text("not-it")


async def right_password(door: Door) -> None:
    (door.folder / "password").write_text(PASSWORD)


async def foreign_authority(door: Door) -> None:
    await door.allow_all()
    Authority.create("Other CA").write(door.folder / "ca.pem")


async def right_authority(door: Door) -> None:
    (door.folder / "ca.pem").write_bytes((door.kafka.broker.home / "ca.pem").read_bytes())


async def expired_token(door: Door) -> None:
    await door.allow_all()
    (door.folder / "token").write_text(door.kafka.provider.token(USER, seconds=-120))


async def right_token(door: Door) -> None:
    (door.folder / "token").write_text(door.kafka.provider.token(USER))


async def no_topic_access(door: Door) -> None:
    await door.allow_group()
    await door.allow_dead_letters()


async def no_group_access(door: Door) -> None:
    await door.allow_topic()
    await door.allow_dead_letters()


async def no_dead_letter_access(door: Door) -> None:
    await door.allow_topic()
    await door.allow_group()


OBSTACLES = {
    "wrong-password": Obstacle(
        "scram-sha-512", wrong_password, right_password, "refuses the login", "SaslAuthenticationFailed"
    ),
    "untrusted-authority": Obstacle(
        "scram-sha-512", foreign_authority, right_authority, "does not vouch for", "CERTIFICATE_VERIFY_FAILED"
    ),
    "expired-token": Obstacle("oauthbearer", expired_token, right_token, "has expired", "Unable connect"),
    "no-topic-access": Obstacle(
        "scram-sha-512", no_topic_access, Door.allow_topic, "access denied; allow READ on it", "not authorized"
    ),
    "no-group-access": Obstacle(
        "scram-sha-512",
        no_group_access,
        Door.allow_group,
        "access denied; allow READ on it",
        "GroupAuthorizationFailed",
    ),
    "no-dead-letter-access": Obstacle(
        "scram-sha-512", no_dead_letter_access, Door.allow_dead_letters, "allow WRITE on it", "not authorized"
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
async def test_an_obstacle_is_named_waited_for_and_forgotten(
    kafka: SecuredBroker, site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    obstacle = OBSTACLES[name]
    site = with_login(site, kafka, obstacle.login, tmp_path)
    door = Door(kafka, site, tmp_path)
    await obstacle.put(door)
    (result,) = await check_kafka(site, tmp_path)
    assert (result.grade, obstacle.said in result.message) == (Grade.FAIL, True)
    await site.publish(b"{not json")
    await site.ehr.load(document("a"))
    steps, stopping = Steps(), asyncio.Event()
    running = asyncio.create_task(work(site, steps, stopping))
    await met(caplog, obstacle.logged)
    assert not running.done()
    await obstacle.remove(door)
    await ends_of_both(steps)
    stopping.set()
    await running
    done, ends = await done_and_end(site, kafka)
    assert done == ends


async def check_kafka(site: Site, folder: Path) -> list[Result]:
    """Return what `sidecar check` says of Kafka."""
    config = folder / "sidecar.yaml"
    config.write_text(yaml.safe_dump(site.settings.model_dump(mode="json")))
    return [result for result in await check_all(config) if result.subject == "kafka"]


async def work(site: Site, steps: Steps, stopping: asyncio.Event) -> None:
    async with open_worker(site.settings, [steps]) as worker:
        await worker.run(stopping)


async def met(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async with asyncio.timeout(30):
        while not any(words in f"{record.getMessage()} {vars(record)}" for record in caplog.records):
            await asyncio.sleep(0.05)


async def test_a_token_for_another_service_is_told_from_a_wrong_address(
    kafka: SecuredBroker, site: Site, tmp_path: Path
) -> None:
    settings = kafka.settings("oauthbearer", site.topic, site.group, tmp_path)
    (tmp_path / "token").write_text(kafka.provider.token(USER, audience="payroll"))
    (fault,) = await find_faults(settings)
    assert "refuses the token of kafka.sasl_oauthbearer_token_file" in fault


async def test_a_worker_outlives_the_time_limit_of_its_token(
    kafka: SecuredBroker,
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The broker ends a token's connections in time (KIP-368); aiokafka comes back with the file's next good one."""
    read = TokenFile.token
    used: list[str] = []

    async def remember(provider: TokenFile) -> str:
        used.append(await read(provider))
        return used[-1]

    monkeypatch.setattr(TokenFile, "token", remember)
    await kafka.allow_worker(site.topic, site.group)
    site = with_login(site, kafka, "oauthbearer", tmp_path)
    async with site.worker() as steps:
        await site.ehr.load(document("a"))
        assert await steps.outcome("DocumentReference/a") == "filed"
        (tmp_path / "token").write_text(kafka.provider.token(USER, seconds=-120))
        await met(caplog, "TokenExpired")
        (tmp_path / "token").write_text(renewed := kafka.provider.token(USER, seconds=1800))
        async with asyncio.timeout(30):
            while used.count(renewed) < 3:
                await asyncio.sleep(0.1)
        await site.ehr.load(document("b"))
        assert await steps.outcome("DocumentReference/b") == "filed"
    done, ends = await done_and_end(site, kafka)
    assert done == ends
