"""`sidecar draft`: one document through the pipeline's own stages, without Kafka, EHR or ledger."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sidecar.chart.draft import DraftDocument, build_device, build_document, build_provenance, draft_id_of
from sidecar.chart.profile import settle_profile
from sidecar.chart.source import parse_source
from sidecar.drafting.compose import SourceLabel
from sidecar.drafting.route import NoteFacts, route, suits
from sidecar.errors import DeadLetterEvent, ParkEvent, SkipEvent
from sidecar.observe import own_draft_id
from sidecar.outcomes import ParkReason, SkipReason
from sidecar.pipeline import label_of
from sidecar.references import relative_reference

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sidecar.chart.profile import Profile
    from sidecar.chart.source import SourceNote
    from sidecar.drafting.compose import Composer
    from sidecar.drafting.task import Task, TaskKind
    from sidecar.mappings import Mappings
    from sidecar.note.text import NoteText, Section, Span
    from sidecar.review import ReviewedDraft

NO_EHR = "urn:ehr-draft-sidecar:no-ehr"
_DEVICE, _DOCUMENT = "urn:uuid:6f0a2a7e-0000-4000-8000-000000000001", "urn:uuid:6f0a2a7e-0000-4000-8000-000000000002"


@dataclass(frozen=True, slots=True)
class Workbench:
    """What drafting one document needs."""

    composer: Composer
    mappings: Mappings
    profile: Profile
    base_url: str = NO_EHR
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


ANY_SERVER = {
    "rest": [
        {
            "resource": [
                {"type": kind, "interaction": [{"code": "create"}, {"code": "read"}], "conditionalCreate": True}
                for kind in ("DocumentReference", "Device", "Provenance")
            ]
        }
    ]
}
"""Stands in for the CapabilityStatement that is not asked here: a server that takes everything."""


def workbench(composer: Composer, mappings: Mappings, profile: Profile, base_url: str | None) -> Workbench:
    return Workbench(composer, mappings, settle_profile(profile, ANY_SERVER), base_url or NO_EHR)


async def draft_resource(
    bench: Workbench, resource: dict[str, Any], read_text: Callable[[], NoteText]
) -> dict[str, Any]:
    """Draft a DocumentReference by every routing rule but age; `read_text` extracts it when routing is done."""

    async def work() -> dict[str, Any]:
        if own_draft_id(resource) is not None:
            raise SkipEvent(SkipReason.OWN_DRAFT)
        source = parse_source({"id": "unnamed", **_as_document(resource)})
        facts = NoteFacts(source.status, source.doc_status, source.types, source.security, source.date)
        task = route(facts, bench.mappings, today=None)
        if source.subject is None or relative_reference(source.subject, "Patient") is None:
            raise ParkEvent(ParkReason.PATIENT_MISMATCH, "no patient")
        key = draft_id_of(bench.base_url, source.reference, source.version, task.kind.value)
        note = read_text()
        reviewed, text = await _compose(bench, note, task, label_of(source), key)
        filed = resource.get("resourceType") == "DocumentReference"
        return _drafted(reviewed, note, text, _bundle(bench, source, task, text, key) if filed else None)

    return await _guarded(resource.get("id"), work)


def _as_document(resource: dict[str, Any]) -> dict[str, Any]:
    """Read a DiagnosticReport's code and status as a document's: narratives of both kinds are routed alike."""
    if resource.get("resourceType") != "DiagnosticReport":
        return resource
    kept: dict[str, Any] = {
        name: resource[name] for name in ("id", "meta", "subject", "identifier") if name in resource
    }
    if "encounter" in resource:
        kept["context"] = {"encounter": [resource["encounter"]]}
    return kept | {"status": "current", "docStatus": resource.get("status"), "type": resource.get("code", {})}


async def draft_text(
    bench: Workbench, document_id: str | None, kind: TaskKind, read_text: Callable[[], NoteText]
) -> dict[str, Any]:
    """Draft a bare document by the task that was asked for; nothing is known to file it by."""

    async def work() -> dict[str, Any]:
        note, task = read_text(), bench.mappings.tasks[kind]
        key = draft_id_of(bench.base_url, str(document_id), "", kind.value)
        reviewed, text = await _compose(bench, note, task, SourceLabel("note", None, None), key)
        return _drafted(reviewed, note, text, None)

    return await _guarded(document_id, work)


async def _compose(
    bench: Workbench, note: NoteText, task: Task, label: SourceLabel, draft_id: str
) -> tuple[ReviewedDraft, str]:
    suits(note, task)
    reviewed = bench.composer.review(note, await bench.composer.draft(note, task))
    return reviewed, bench.composer.render(reviewed, note, task, label, draft_id)


async def _guarded(document_id: object, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Turn the end of an event into its output line."""
    line = {"id": document_id if isinstance(document_id, str) else None}
    try:
        return line | await work()
    except SkipEvent as end:
        return line | ended("skipped", end.reason.value)
    except ParkEvent as end:
        return line | ended("parked", end.reason.value)
    except DeadLetterEvent as end:
        return line | ended("dead-lettered", end.reason.value)


def ended(outcome: str, reason: str) -> dict[str, Any]:
    empty: dict[str, Any] = {"text": "", "statements": [], "not_carried_over": [], "proposals": [], "bundle": None}
    return {"outcome": outcome, "reason": reason, **empty}


def _drafted(reviewed: ReviewedDraft, note: NoteText, text: str, bundle: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "outcome": "drafted",
        "reason": None,
        "text": text,
        "statements": [
            {"text": item.text, "evidence": cited(note, item.text, item.evidence), "verdict": item.verdict.value}
            for item in reviewed.statements
        ],
        "not_carried_over": [
            {"kind": item.kind.value, "text": item.text, "source_span": list(item.source_span)}
            for item in reviewed.not_carried_over
        ],
        "proposals": [],
        "bundle": bundle,
    }


def cited(note: NoteText, text: str, evidence: tuple[Span, ...]) -> list[Span]:
    """Return the evidence of a statement with the section title that its text begins with.

    The title is part of the span where only punctuation lies between, else it is a span of its own,
    before that of its sentence.
    """
    for index, span in enumerate(evidence):
        section = note.section_of(span)
        title = _title_span(note, section) if section is not None and _begins_with(text, section) else None
        if title is None or span[0] < title[1]:
            continue
        joined = re.fullmatch(r"\W*", note.text[title[1] : span[0]]) is not None
        found = ((title[0], span[1]),) if joined else (title, span)
        return [*evidence[:index], *found, *evidence[index + 1 :]]
    return list(evidence)


def _begins_with(text: str, section: Section) -> bool:
    return text.startswith(f"{' '.join(section.title.split()).rstrip(' :')}:")


def _title_span(note: NoteText, section: Section) -> Span | None:
    """Return where the title stands; white space in it may differ from the note's."""
    words = r"\s+".join(map(re.escape, section.title.split()))
    found = re.compile(words).match(note.text, section.start) if words else None
    return found.span() if found else None


def _bundle(bench: Workbench, source: SourceNote, task: Task, text: str, draft_id: str) -> dict[str, Any]:
    """Return what would be sent, as a collection whose entries refer to each other by urn:uuid."""
    engine = bench.composer.engine
    draft = DraftDocument(draft_id, task, source, source.encounter, text, engine, bench.now())
    linked = bench.profile.provenance == "always"
    document = {"fullUrl": _DOCUMENT, "resource": build_document(draft, bench.profile, _DEVICE if linked else None)}
    entries: list[dict[str, Any]] = [document]
    if linked:
        device = {"fullUrl": _DEVICE, "resource": build_device(engine)}
        entries = [device, document, {"resource": build_provenance(draft, _DOCUMENT, None, _DEVICE)}]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


__all__ = ["Workbench", "cited", "draft_resource", "draft_text", "ended", "workbench"]
