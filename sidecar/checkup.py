"""The checks of `sidecar check`: each answers pass, warn or fail with what to do next."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sidecar.errors import ConfigError, EhrNotFound, EhrRefused, SidecarError
from sidecar.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from sidecar.settings import Settings

LIMIT_SECONDS = 15.0


class Grade(StrEnum):
    PASS = "pass"  # noqa: S105 - a grade, not a password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Result:
    grade: Grade
    subject: str
    message: str


async def check_all(config: Path | None) -> list[Result]:
    """Run every check; one that fails does not hide the next, but without settings there is only one."""
    try:
        settings = load_settings(config)
    except ConfigError as error:
        return [Result(Grade.FAIL, "settings", line) for line in str(error).splitlines()]
    results = [Result(Grade.PASS, "settings", f"mode {settings.mode}, engine {settings.engine.kind}")]
    for subject, check in CHECKS:
        results += await _bounded(subject, check, settings)
    return results


async def _bounded(
    subject: str, check: Callable[[Settings], Awaitable[Iterable[Result]]], settings: Settings
) -> list[Result]:
    try:
        return list(await asyncio.wait_for(check(settings), LIMIT_SECONDS))
    except ConfigError as error:
        return [Result(Grade.FAIL, subject, line) for line in str(error).splitlines()]
    except (EhrNotFound, EhrRefused) as error:
        return [Result(Grade.FAIL, subject, f"{error.code}: {error}; is this the FHIR base URL?")]
    except SidecarError as error:
        return [Result(Grade.FAIL, subject, f"{error.code}: {error}; is it running and reachable from here?")]
    except TimeoutError:
        return [Result(Grade.FAIL, subject, f"no answer within {LIMIT_SECONDS:.0f} s")]


async def _check_mappings(settings: Settings) -> Iterable[Result]:
    from sidecar.mappings import Mappings  # noqa: PLC0415 - each check imports what it checks

    mappings = Mappings.load(settings.mappings.dir)
    tasks = ", ".join(sorted(kind.value for kind in mappings.tasks))
    return [Result(Grade.PASS, "mappings", f"{len(mappings.note_types)} note types, tasks: {tasks}")]


async def _check_engine(settings: Settings) -> Iterable[Result]:
    from sidecar.drafting.engines import open_engine  # noqa: PLC0415 - as above
    from sidecar.mappings import Mappings  # noqa: PLC0415 - as above

    async with open_engine(settings.engine, Mappings.load(settings.mappings.dir)) as engine:
        return [Result(Grade.PASS, "engine", f"{engine.identity.name} {engine.identity.version}")]


async def _check_kafka(settings: Settings) -> Iterable[Result]:
    from aiokafka.admin import AIOKafkaAdminClient  # noqa: PLC0415 - as above
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - as above

    from sidecar.intake.deadletter import dead_letter_topic  # noqa: PLC0415 - as above
    from sidecar.intake.kafka import client_options, find_faults  # noqa: PLC0415 - as above

    if not settings.kafka.topics:
        raise ConfigError("kafka.topics is empty: name the topics that carry DocumentReference events")
    if faults := await find_faults(settings.kafka):
        return [Result(Grade.FAIL, "kafka", fault) for fault in faults]
    admin = AIOKafkaAdminClient(**client_options(settings.kafka))
    try:
        await admin.start()
        existing = set(await admin.list_topics())
    except KafkaError as error:
        servers = ", ".join(settings.kafka.bootstrap_servers)
        return [Result(Grade.FAIL, "kafka", f"{servers}: {type(error).__name__}; address, port, protocol and login?")]
    finally:
        await admin.close()
    return [
        _judge_topic(topic, existing, settings.kafka.group_id, dead_letter_topic) for topic in settings.kafka.topics
    ]


def _judge_topic(topic: str, existing: set[str], group_id: str, dead_letter_topic: Callable[[str, str], str]) -> Result:
    dead = dead_letter_topic(topic, group_id)
    if topic not in existing:
        return Result(Grade.FAIL, "kafka", f"topic {topic} does not exist")
    if dead not in existing:
        return Result(Grade.WARN, "kafka", f"topic {topic} is there; create {dead} unless the broker creates topics")
    return Result(Grade.PASS, "kafka", f"topics {topic} and {dead} are there")


async def _check_ehr(settings: Settings) -> Iterable[Result]:
    from sidecar.app import open_chart  # noqa: PLC0415 - as above
    from sidecar.chart.profile import profile_of, settle_profile  # noqa: PLC0415 - as above
    from sidecar.mappings import Mappings  # noqa: PLC0415 - as above

    profile = profile_of(Mappings.load(settings.mappings.dir).profile(settings.ehr.profile))
    async with open_chart(settings.ehr) as chart:
        profile = settle_profile(profile, await chart.capabilities())
        await chart.search("DocumentReference", {"_id": "sidecar-check", "_count": "1"})
    found = [Result(Grade.PASS, "ehr", f"{profile.title}: DocumentReference can be read, searched and created")]
    if profile.conditional_create != "always":
        message = "no conditional create: a create whose answer is lost is searched by identifier before it is repeated"
        found.append(Result(Grade.WARN, "ehr", message))
    if profile.provenance != "always":
        found.append(
            Result(Grade.WARN, "ehr", "Device and Provenance are not taken: the draft's own text says it is AI")
        )
    return found


async def _check_ledger(settings: Settings) -> Iterable[Result]:
    from sidecar.ledger.sql import open_ledger  # noqa: PLC0415 - as above

    async with open_ledger(settings.ledger.url) as ledger:
        waiting = len(await ledger.list_entries())
    return [Result(Grade.PASS, "ledger", f"{waiting} entries")]


async def _check_control(settings: Settings) -> Iterable[Result]:
    from sidecar.control import read_pauses  # noqa: PLC0415 - as above

    path = settings.worker.control_file
    if path is None:
        return []
    if not path.exists():
        return [Result(Grade.WARN, "control", f"{path} is not there: nothing is paused until it is")]
    pauses = read_pauses(path)
    paused = ["everything"] if pauses.everything else sorted({*pauses.tasks, *pauses.departments})
    if not paused:
        return [Result(Grade.PASS, "control", "nothing is paused")]
    return [Result(Grade.WARN, "control", f"paused: {', '.join(paused)}")]


CHECKS: tuple[tuple[str, Callable[[Settings], Awaitable[Iterable[Result]]]], ...] = (
    ("mappings", _check_mappings),
    ("engine", _check_engine),
    ("kafka", _check_kafka),
    ("ehr", _check_ehr),
    ("ledger", _check_ledger),
    ("control", _check_control),
)
