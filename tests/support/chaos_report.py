"""What is left when the chaos is over, counted in the EHR, the ledger and the topics, not in the workers' words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.chart.draft import DRAFT_SYSTEM, draft_id_of
from sidecar.drafting.task import TaskKind
from sidecar.http import Http, open_http
from sidecar.intake.deadletter import dead_letter_topic
from sidecar.ledger.ledger import LIVE, Entry, State
from sidecar.ledger.sql import open_ledger
from tests.support.notes import text_of
from tests.support.topic import read_topic

if TYPE_CHECKING:
    from tests.support.chaos import Chaos


@dataclass(frozen=True, slots=True)
class Starts:
    """What the slow workers wrote down: (document, version) of every draft begun, and by whom."""

    begun: tuple[tuple[str, int], ...]
    workers: tuple[int, ...]
    generations: frozenset[str]
    """Of the group: those in which some worker was given partitions that it had not."""

    @classmethod
    def read(cls, log: Path) -> Starts:
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        starts = [line for line in lines if line[0] == "start"]
        return cls(
            tuple((name, int(version)) for _, name, version, _ in starts),
            tuple(int(pid) for *_, pid in starts),
            frozenset(generation for kind, generation, *_ in lines if kind == "moved"),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """`lost`, `second`, `stale` and `dead_letters` must be empty; the rest tells what it cost.

    Generations: `starts` = `necessary` (a first one, of a version that was filed) + `cancelled` (a first one, of a
    version that a newer one overtook) + `repeated`, which is at most `most_repeated`.
    """

    seed: int
    events: int
    documents: int
    settled: bool
    lost: tuple[str, ...]
    """Documents whose newest version has no draft."""
    second: tuple[str, ...]
    """Documents with a second draft, or with one in another state than current and preliminary."""
    stale: tuple[str, ...]
    """Documents whose draft, Provenance or ledger row is that of another version than the newest."""
    dead_letters: tuple[str, ...]
    unsettled: dict[str, int]
    without_provenance: int
    failed_workers: int
    killed: int
    stopped: int
    moves: int
    refused_requests: int
    starts: int
    necessary: int
    cancelled: int
    repeated: int
    most_repeated: int
    warnings: dict[str, int]

    def faults(self) -> list[str]:
        """Return what must not be, by name."""
        found = [name for name in ("lost", "second", "stale", "dead_letters", "failed_workers") if getattr(self, name)]
        found += [] if self.settled else ["not settled"]
        return found + (["repeated"] if self.repeated > self.most_repeated else [])

    def as_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Found:
    """One draft of the EHR: whose, of which version, and how it stands."""

    source: str
    draft_id: str
    resource: dict[str, Any]

    @property
    def reference(self) -> str:
        return f"DocumentReference/{self.resource['id']}"

    @property
    def is_open(self) -> bool:
        return (self.resource["status"], self.resource["docStatus"]) == ("current", "preliminary")


async def judge(chaos: Chaos, *, settled: bool) -> Report:
    async with open_http(chaos.ehr.base_url) as http:
        drafts = [_found(item) for item in await _all(http, "DocumentReference") if _draft_id(item)]
        provenances = await _all(http, "Provenance")
    async with open_ledger(chaos.ledger_url) as ledger:
        entries = await ledger.list_entries()
    letters = await read_topic(chaos.broker.bootstrap_servers, dead_letter_topic(chaos.topic, chaos.group), 1)
    starts, newest = Starts.read(chaos.folder / "starts"), Newest(chaos)
    drafted = _drafted(chaos, drafts)
    first = set(starts.begun)
    necessary = {(name, version) for name, version in first if newest.draft_id(name, version) in drafted}
    moves = max(0, len(starts.generations) - 1)  # the first one gave what nobody had
    return Report(
        seed=chaos.plan.seed,
        events=sum(chaos.versions.values()),
        documents=len(chaos.versions),
        settled=settled,
        lost=tuple(newest.without_draft(drafts)),
        second=tuple(_second(drafts, entries)),
        stale=tuple(sorted({*newest.stale_drafts(drafts), *newest.stale_entries(entries)})),
        dead_letters=tuple(dict(letter.headers)["x-ehr-error-code"].decode() for letter in letters),
        unsettled=dict(Counter(f"{entry.state} {entry.reason}" for entry in entries if _hangs(entry))),
        without_provenance=_without_provenance(drafts, provenances),
        failed_workers=chaos.fleet.failed,
        killed=chaos.fleet.killed,
        stopped=chaos.fleet.stopped,
        moves=moves,
        refused_requests=chaos.proxy.refused,
        starts=len(starts.begun),
        necessary=len(necessary),
        cancelled=len(first - necessary),
        repeated=len(starts.begun) - len(first),
        most_repeated=chaos.plan.concurrency * (chaos.fleet.killed + chaos.fleet.stopped + moves),
        warnings=_warnings(chaos.folder / "worker.log"),
    )


class Newest:
    """Compares with the newest version of each document."""

    def __init__(self, chaos: Chaos) -> None:
        self._base_url = chaos.base_url
        self._versions = {f"DocumentReference/{name}": version for name, version in chaos.versions.items()}

    def draft_id(self, name: str, version: int) -> str:
        return draft_id_of(self._base_url, f"DocumentReference/{name}", str(version), TaskKind.SUMMARY.value)

    def without_draft(self, drafts: Iterable[Found]) -> Iterable[str]:
        have = {draft.draft_id for draft in drafts if draft.is_open}
        return (source for source, version in self._versions.items() if self._id(source, version) not in have)

    def stale_drafts(self, drafts: Iterable[Found]) -> Iterable[str]:
        """Yield sources whose draft names, by identifier or in its text, another version."""
        for draft in drafts:
            version = self._versions[draft.source]
            told = f"(version {version})" in text_of(draft.resource)
            if draft.draft_id != self._id(draft.source, version) or not told:
                yield draft.source

    def stale_entries(self, entries: Iterable[Entry]) -> Iterable[str]:
        filed = {entry.key.source: entry.key.source_version for entry in entries if entry.state is State.FILED}
        return (source for source, version in self._versions.items() if filed.get(source) != str(version))

    def _id(self, source: str, version: int) -> str:
        return self.draft_id(source.removeprefix("DocumentReference/"), version)


def _second(drafts: Iterable[Found], entries: Iterable[Entry]) -> Iterable[str]:
    found, live = Counter(draft.source for draft in drafts), Counter(e.key.source for e in entries if e.state in LIVE)
    closed = {draft.source for draft in drafts if not draft.is_open}
    return sorted(closed | {source for source, count in (found | live).items() if count > 1})


def _drafted(chaos: Chaos, drafts: Iterable[Found]) -> set[str]:
    """Return the identifiers that drafts have borne, in all their versions."""
    store = chaos.ehr.store
    return {
        _draft_id(store.read_version("DocumentReference", draft.resource["id"], number).resource)
        for draft in drafts
        for number in range(1, int(draft.resource["meta"]["versionId"]) + 1)
    }


def _without_provenance(drafts: Iterable[Found], provenances: Iterable[dict[str, Any]]) -> int:
    targets = {item["target"][0]["reference"] for item in provenances}
    return sum(f"{draft.reference}/_history/{draft.resource['meta']['versionId']}" not in targets for draft in drafts)


def _hangs(entry: Entry) -> bool:
    return entry.state not in (State.FILED, State.REPLACED)


def _found(resource: dict[str, Any]) -> Found:
    return Found(resource["context"]["related"][0]["reference"], _draft_id(resource), resource)


def _draft_id(resource: dict[str, Any]) -> str:
    identifiers = resource.get("identifier", [])
    return next((item["value"] for item in identifiers if item.get("system") == DRAFT_SYSTEM), "")


async def _all(http: Http, resource_type: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    url: str | None = f"{resource_type}?_count=100"
    while url:
        bundle = orjson.loads((await http.request("GET", url)).body)
        found += [entry["resource"] for entry in bundle.get("entry", [])]
        url = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), None)
    return found


def _warnings(log: Path) -> dict[str, int]:
    """Count the workers' own warnings and errors by event name."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    told = (line for line in lines if line["level"] != "info" and line["logger"].startswith("sidecar"))
    return dict(Counter(line["event"] for line in told).most_common())
