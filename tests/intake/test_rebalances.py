"""Intake on a scripted group: rebalances, kills and slow handlers in every order; nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.errors import Abandoned, SkipEvent
from sidecar.intake.admission import Admission
from sidecar.intake.consumer import Handlers, Intake
from sidecar.intake.ticket import Ticket
from sidecar.settings import KafkaSettings, WorkerSettings
from sidecar.versions import is_newer
from tests.support.notes import document

PARTITIONS = [TopicPartition("t", number) for number in range(2)]


class Group:
    """One consumer group: logs, commits, members, and an eager protocol like aiokafka's."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[ConsumerRecord]] = {tp: [] for tp in PARTITIONS}
        self.committed: dict[TopicPartition, int] = dict.fromkeys(PARTITIONS, 0)
        self.members: list[Member] = []

    def produce(self, name: str, version: int) -> None:
        partition = PARTITIONS[ord(name[0]) % len(PARTITIONS)]
        value = orjson.dumps(document(name, meta={"versionId": str(version)}, subject={"reference": f"Patient/{name}"}))
        offset = len(self.logs[partition]) * 2  # every other offset is a gap, as compaction leaves
        self.logs[partition].append(
            ConsumerRecord(
                "t", partition.partition, offset, 0, 0, name.encode(), value, None, len(name), len(value), ()
            )
        )

    async def rebalance(self, rng: random.Random) -> None:
        """Revoke everything from everybody, then assign anew: positions go back to the commits, pauses are gone."""
        members = [member for member in self.members if member.listener is not None]
        for member in members:
            await member.listener.on_partitions_revoked(member.assignment())
            member.assigned = set()
        for partition in PARTITIONS:
            if members:
                rng.choice(members).assigned.add(partition)
        for member in members:
            member.positions = {tp: self.committed[tp] for tp in member.assigned}
            member.pauses.clear()
        for member in members:
            await turn(rng.randrange(4))  # aiokafka fetches already while the listener has not been called
            await member.listener.on_partitions_assigned(member.assignment())

    @property
    def unread(self) -> bool:
        return any(self.committed[tp] <= log[-1].offset for tp, log in self.logs.items() if log)


class Member:
    """The part of AIOKafkaConsumer that intake uses."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.listener: Any = None
        self.assigned: set[TopicPartition] = set()
        self.positions: dict[TopicPartition, int] = {}
        self.pauses: set[TopicPartition] = set()

    async def start(self) -> None:
        self.group.members.append(self)

    async def stop(self) -> None:
        self.leave()

    def leave(self) -> None:
        if self in self.group.members:
            self.group.members.remove(self)

    def subscribe(self, _topics: list[str], listener: object) -> None:
        self.listener = listener

    def assignment(self) -> set[TopicPartition]:
        return set(self.assigned)

    def paused(self) -> set[TopicPartition]:
        return set(self.pauses)

    def pause(self, *partitions: TopicPartition) -> None:
        self.pauses |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.pauses -= set(partitions)

    async def getmany(self, timeout_ms: int, max_records: int = 500) -> dict[TopicPartition, list[ConsumerRecord]]:
        del timeout_ms  # turns of the loop stand for time
        await asyncio.sleep(0)
        batches: dict[TopicPartition, list[ConsumerRecord]] = defaultdict(list)
        for partition in self.assigned - self.pauses:
            for record in self.group.logs[partition]:
                if record.offset >= self.positions[partition] and max_records > 0:
                    batches[partition].append(record)
                    self.positions[partition] = record.offset + 1
                    max_records -= 1
        return batches

    async def committed(self, partition: TopicPartition) -> int:
        return self.group.committed[partition]

    async def commit(self, offsets: dict[TopicPartition, Any]) -> None:
        assert set(offsets) <= self.assigned
        for partition, value in offsets.items():
            assert value.offset >= self.group.committed[partition], "a commit went back"
            self.group.committed[partition] = value.offset


@dataclass
class Site:
    """What the workers share: a ledger of drafts, and what was handled."""

    drafts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    handled: set[tuple[int, int]] = field(default_factory=set)
    writing: set[str] = field(default_factory=set)
    generations: int = 0

    def known(self, name: str, version: int) -> bool:
        return any(version == old or is_newer(str(old), str(version)) for old in self.drafts[name])


class Killed(BaseException):
    pass


class Worker:
    def __init__(self, group: Group, site: Site, rng: random.Random) -> None:
        self.site, self.rng, self.member, self.dead = site, rng, Member(group), False
        handlers = Handlers(self.handle, self.coalesced)
        kafka = KafkaSettings(bootstrap_servers=("x:1",), topics=("t",))
        worker = WorkerSettings(concurrency=2, drain_seconds=5)
        self.intake = Intake(kafka, worker, handlers, open_consumer=lambda: self.member)
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(self.intake.run(self.stopping))

    async def handle(self, admission: Admission, ticket: Ticket) -> bool:
        (event,) = admission.events
        name, version = event.id, int(str(event.version_id))
        try:
            if not self.site.known(name, version):
                await ticket.unless_stopped(self.generate())
                async with ticket.write():
                    await self.write(name, version)
        except Abandoned:
            return False
        except SkipEvent:
            pass
        self.note(admission)
        return True

    async def generate(self) -> None:
        self.site.generations += 1
        for _ in range(self.rng.randrange(12)):
            await asyncio.sleep(0)

    async def write(self, name: str, version: int) -> None:
        assert not self.dead
        assert name not in self.site.writing, "two workers write for one document at once"
        self.site.writing.add(name)
        try:
            await asyncio.sleep(0)
            if not self.site.known(name, version):
                self.site.drafts[name].append(version)
        finally:
            self.site.writing.discard(name)

    def coalesced(self, admission: Admission) -> None:
        self.note(admission)

    def note(self, admission: Admission) -> None:
        self.site.handled.add((admission.record.partition, admission.record.offset))

    async def kill(self) -> None:
        """Die without a word: nothing of this worker runs or commits any more, the group finds out later."""
        self.dead = True
        self.member.commit = self.refuse  # type: ignore[method-assign]  # the process is gone
        self.member.leave()
        self.intake.assign(())
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.intake._lanes.drain(0)

    async def refuse(self, _offsets: object) -> None:
        raise AssertionError


async def turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


_PRODUCE = st.tuples(st.just("produce"), st.sampled_from(["a", "b", "c", "d"]))
_TURN = st.tuples(st.just("turn"), st.integers(1, 12))
_GROUP = st.one_of(
    st.tuples(st.just("rebalance"), st.none()),
    st.tuples(st.just("kill"), st.integers(0, 2)),
    st.tuples(st.just("stop"), st.integers(0, 2)),
    st.tuples(st.just("join"), st.none()),
)
_SCENES = st.tuples(st.lists(_PRODUCE, min_size=1, max_size=6), _TURN, _GROUP, _TURN)
scripts = st.lists(_SCENES, min_size=2, max_size=10).map(
    lambda scenes: [op for produced, before, group, after in scenes for op in (*produced, before, group, after)]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=scripts, seed=st.integers(0, 2**16))
def test_nothing_is_lost_or_twice_and_the_newest_version_wins(script: list[tuple[str, Any]], seed: int) -> None:
    asyncio.run(play(script, random.Random(seed)))  # noqa: S311 - a test's dice


async def play(script: Iterable[tuple[str, Any]], rng: random.Random) -> None:
    group, site = Group(), Site()
    versions: dict[str, int] = defaultdict(int)
    workers = [Worker(group, site, rng)]
    await turn(5)
    await group.rebalance(rng)
    for op, value in script:
        if op == "produce":
            versions[value] += 1
            group.produce(value, versions[value])
        elif op == "turn":
            await turn(value)
        elif op == "rebalance":
            await group.rebalance(rng)
        elif op == "join":
            workers.append(Worker(group, site, rng))
            await turn(5)
            await group.rebalance(rng)
        elif workers and op == "kill":
            await workers.pop(value % len(workers)).kill()
            await group.rebalance(rng)
        elif workers and op == "stop":
            worker = workers.pop(value % len(workers))
            worker.stopping.set()
            await worker.task
            await group.rebalance(rng)
        assert_commits_are_covered(group, site)
    await finish(group, site, workers, rng)
    assert_commits_are_covered(group, site)
    for name, newest in versions.items():
        assert site.drafts[name][-1] == newest
        assert site.drafts[name] == sorted(set(site.drafts[name]))


def assert_commits_are_covered(group: Group, site: Site) -> None:
    """A committed offset never passes a record that has no outcome."""
    for partition, log in group.logs.items():
        for record in log:
            if record.offset < group.committed[partition]:
                assert (partition.partition, record.offset) in site.handled


async def finish(group: Group, site: Site, workers: list[Worker], rng: random.Random) -> None:
    workers.append(Worker(group, site, rng))
    await turn(5)
    await group.rebalance(rng)
    for _ in range(400):
        await turn(20)
        for worker in workers:
            await worker.intake._commit()
        if not group.unread:
            break
    assert not group.unread
    for worker in workers:
        worker.stopping.set()
    await asyncio.gather(*(worker.task for worker in workers))
