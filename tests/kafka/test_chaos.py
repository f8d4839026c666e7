"""Workers killed, brokers restarted, an EHR on a bad day: nothing lost, nothing twice, the newest version drafted."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.chaos import Plan, Trouble, run_chaos, spread
from tests.support.faulty_proxy import Fault
from tests.support.kafka_broker import LATEST, Broker


def plan_of(version: str, seed: int) -> Plan:
    if version == LATEST:
        return spread(seed, 75, events=1000, documents=100)
    return Plan(
        events=100,
        documents=20,
        seconds=15,
        seed=seed,
        troubles=(Trouble.KILL, Trouble.BROKER_STOP),
        faults=(Fault.LOSE, Fault.DOWN),
        workers=3,
        fault_seconds=(1.0, 2.0),
    )


@pytest.mark.timeout(420)
async def test_chaos_loses_nothing_and_drafts_the_newest_version_once(
    broker: Broker,
    topic: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(10**6)))  # noqa: S311 - a test's dice
    record_property("CHAOS_SEED", seed)
    plan = plan_of(request.node.callspec.params["kafka"], seed)
    report = await run_chaos(plan, broker, topic, tmp_path)
    record_property("chaos", report.as_json())
    assert report.faults() == [], report.as_json()
    assert report.killed >= plan.troubles.count(Trouble.KILL)
    assert report.refused_requests > 0
