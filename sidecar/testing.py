"""Fakes of the ports, for tests and benchmarks of ours and of whoever extends the product."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sidecar.chart.bindings import ensure_draft
from sidecar.chart.client import BinaryContent, Receipt
from sidecar.errors import EhrNotFound, ParkEvent, VersionConflict
from sidecar.outcomes import ParkReason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from sidecar.intake.deadletter import DeadLetter


@dataclass(slots=True)
class MemoryChart:
    """An EHR in memory. `before` and `after` are awaited around every write, to fail there."""

    base_url: str = "http://ehr.test/fhir"
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    binaries: dict[str, BinaryContent] = field(default_factory=dict)
    conditional: bool = True
    before: Callable[[], Awaitable[None]] | None = None
    after: Callable[[], Awaitable[None]] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def put(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Store a new version, as another system would, and return it."""
        reference = f"{resource['resourceType']}/{resource['id']}"
        version = int(self.resources.get(reference, {}).get("meta", {}).get("versionId", 0)) + 1
        stored = copy.deepcopy(dict(resource))
        stored["meta"] = {**stored.get("meta", {}), "versionId": str(version)}
        self.resources[reference] = stored
        return stored

    async def read(self, reference: str) -> Mapping[str, Any]:
        if reference not in self.resources:
            raise EhrNotFound("HTTP 404")
        return copy.deepcopy(self.resources[reference])

    async def read_binary(self, url: str, media_type: str | None, limit: int) -> BinaryContent:
        del media_type, limit
        if url not in self.binaries:
            raise ParkEvent(ParkReason.NO_CONTENT, "binary not readable")
        return self.binaries[url]

    async def search(self, resource_type: str, parameters: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        found = [item for item in self.resources.values() if item["resourceType"] == resource_type]
        if "identifier" in parameters:
            found = [item for item in found if parameters["identifier"] in _identifiers(item)]
        if "target" in parameters:
            found = [item for item in found if _targets(item, parameters["target"])]
        return copy.deepcopy(found)

    async def create(self, resource: Mapping[str, Any], if_none_exist: str | None = None) -> Receipt:
        ensure_draft(resource)
        if self.before:
            await self.before()
        kind = str(resource["resourceType"])
        if if_none_exist and self.conditional:
            condition = {"identifier": if_none_exist.removeprefix("identifier=")}
            for existing in await self.search(kind, condition):
                return Receipt(f"{kind}/{existing['id']}", existing["meta"]["versionId"], found=True)
        return await self._store({**resource, "id": f"n{next(self._numbers)}"})

    async def update(self, resource: Mapping[str, Any], version: str) -> Receipt:
        ensure_draft(resource)
        if self.before:
            await self.before()
        stored = await self.read(f"{resource['resourceType']}/{resource['id']}")
        if stored["meta"]["versionId"] != version:
            raise VersionConflict("HTTP 412")
        return await self._store(resource)

    async def _store(self, resource: Mapping[str, Any]) -> Receipt:
        stored = self.put(resource)
        if self.after:
            await self.after()
        return Receipt(f"{stored['resourceType']}/{stored['id']}", stored["meta"]["versionId"])

    def drafts(self) -> list[dict[str, Any]]:
        """Return the DocumentReferences that carry our identifier."""
        return [item for item in self.resources.values() if any("draft|" in name for name in _identifiers(item))]


def _identifiers(resource: Mapping[str, Any]) -> list[str]:
    return [f"{item.get('system')}|{item.get('value')}" for item in resource.get("identifier", [])]


def _targets(resource: Mapping[str, Any], reference: str) -> bool:
    return any(str(item.get("reference", "")).startswith(reference) for item in resource.get("target", []))


@dataclass(slots=True)
class MemoryDeadLetters:
    letters: list[DeadLetter] = field(default_factory=list)

    async def send(self, letter: DeadLetter) -> None:
        self.letters.append(letter)
