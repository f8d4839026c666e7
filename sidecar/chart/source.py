"""The note that an event is about: the few elements that decide, read leniently from raw JSON.

Vendor fields pass untouched in `resource`; only what we act on is checked, because a model of the
whole resource rejects fields that real EHRs send.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from sidecar.errors import DeadLetterEvent
from sidecar.outcomes import DeadLetterCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Code: TypeAlias = tuple[str, str]
"""System and code of a Coding; a missing system is the empty string."""

STATUSES = frozenset({"current", "superseded", "entered-in-error"})
# R4's four and what R5 added: a hospital in migration sends both.
DOC_STATUSES = frozenset(
    {"preliminary", "final", "amended", "entered-in-error"}
    | {"registered", "partial", "corrected", "appended", "cancelled", "deprecated", "unknown"}
)
# FHIR's dateTime: a time has seconds and a zone. A leap second is one, 24:00 is not.
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?", re.ASCII)
_ZONE = r"(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)"
_TIME = re.compile(rf"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?{_ZONE}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SourceNote:
    """One version of a source DocumentReference.

    `version` is `meta.versionId`, else `meta.lastUpdated`, else a digest of the content. `subject`
    and `encounter` are references as written, `department` is the practice setting; None where absent.
    `period` holds valid FHIR dateTimes only: a time without a zone is dropped to its date, what is no
    date is left out.
    """

    id: str
    version: str
    status: str
    doc_status: str | None
    types: tuple[Code, ...]
    type_display: str | None
    security: tuple[Code, ...]
    identifiers: tuple[Code, ...]
    subject: str | None
    encounter: str | None
    department: str | None
    date: datetime | None
    period: Mapping[str, str] | None
    resource: Mapping[str, Any]

    @property
    def reference(self) -> str:
        return f"DocumentReference/{self.id}"


def parse_source(resource: Mapping[str, Any]) -> SourceNote:
    """Read the elements that decide.

    Raises `DeadLetterEvent(invalid-resource)` when one of them has the wrong shape.
    """
    meta = _object(resource, "meta")
    context = _context(resource)
    period = context.get("period", resource.get("period"))
    return SourceNote(
        id=_string(resource, "id") or _invalid(),
        version=_string(meta, "versionId") or _string(meta, "lastUpdated") or content_digest(resource),
        status=_code(resource, "status", STATUSES) or _invalid(),
        doc_status=_code(resource, "docStatus", DOC_STATUSES),
        types=_codes([_object(resource, "type")]),
        type_display=_display(_object(resource, "type")),
        security=(*_codings(_list(meta, "security")), *_codes(_list(resource, "securityLabel"))),
        identifiers=_identifiers(resource),
        subject=_string(_object(resource, "subject"), "reference"),
        encounter=_encounter(context),
        department=_department(resource, context),
        date=_instant(resource.get("date")),
        period=_period(period) if isinstance(period, dict) else None,
        resource=resource,
    )


def content_digest(resource: Mapping[str, Any]) -> str:
    """Stands in for a version where the server gives none: the same content is the same version."""
    kept = {name: value for name, value in resource.items() if name not in ("meta", "text")}
    return hashlib.sha256(_canonical(kept)).hexdigest()[:32]


def _canonical(content: Mapping[str, Any]) -> bytes:
    """Write content in one form; what orjson refuses (long integers, lone surrogates, depth) the slow way."""
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        pass
    try:
        return json.dumps(content, sort_keys=True, ensure_ascii=True).encode()
    except RecursionError:
        return _invalid()  # type: ignore[no-any-return]  # _invalid raises


def _invalid() -> Any:  # noqa: ANN401 - never returns, and typing.NoReturn would make `or` unreachable
    raise DeadLetterEvent(DeadLetterCode.INVALID_RESOURCE)


def _string(element: Mapping[str, Any], name: str) -> str | None:
    value = element.get(name)
    if value is None or isinstance(value, str):
        return value or None
    return _invalid()  # type: ignore[no-any-return]  # _invalid raises


def _code(element: Mapping[str, Any], name: str, allowed: frozenset[str]) -> str | None:
    value = _string(element, name)
    return value if value is None or value in allowed else _invalid()


def _object(element: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = element.get(name, {})
    return value if isinstance(value, dict) else _invalid()


def _list(element: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = element.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        _invalid()
    return value  # type: ignore[no-any-return]  # checked above


def _codes(concepts: Iterable[Mapping[str, Any]]) -> tuple[Code, ...]:
    return tuple(code for concept in concepts for code in _codings(_list(concept, "coding")))


def _codings(codings: Iterable[Mapping[str, Any]]) -> tuple[Code, ...]:
    found = ((_string(coding, "system") or "", _string(coding, "code")) for coding in codings)
    return tuple((system, code) for system, code in found if code)


def _display(concept: Mapping[str, Any]) -> str | None:
    displays = (_string(coding, "display") for coding in _list(concept, "coding"))
    return _string(concept, "text") or next((display for display in displays if display), None)


def _identifiers(resource: Mapping[str, Any]) -> tuple[Code, ...]:
    found = ((_string(item, "system") or "", _string(item, "value")) for item in _list(resource, "identifier"))
    return tuple((system, value) for system, value in found if value)


def _context(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """R4 has an object; R5 has a list of references to encounters and episodes."""
    context = resource.get("context", {})
    if isinstance(context, list):
        return {"encounter": context}
    return context if isinstance(context, dict) else _invalid()


def _encounter(context: Mapping[str, Any]) -> str | None:
    encounters = context.get("encounter", [])
    if isinstance(encounters, dict):  # some Epic interfaces write an object where R4 has a list
        encounters = [encounters]
    if not isinstance(encounters, list):
        _invalid()
    references = (item.get("reference") for item in encounters if isinstance(item, dict))
    return next((ref for ref in references if isinstance(ref, str) and "Encounter/" in ref), None)


def _department(resource: Mapping[str, Any], context: Mapping[str, Any]) -> str | None:
    """Return the practice setting as a code, else as text; R5 has it at the top."""
    setting = context.get("practiceSetting", resource.get("practiceSetting", {}))
    if not isinstance(setting, dict):
        return _invalid()  # type: ignore[no-any-return]  # _invalid raises
    return next((code for _, code in _codes([setting])), None) or _string(setting, "text")


def _period(period: Mapping[str, Any]) -> Mapping[str, str] | None:
    found = ((name, _datetime(period.get(name))) for name in ("start", "end"))
    return {name: value for name, value in found if value} or None


def _datetime(value: object) -> str | None:
    """Return a FHIR dateTime as it came, its date alone when the time is not whole, else None.

    Real systems send local times without a zone. A zone made up here could move the visit to another day.
    """
    if not isinstance(value, str):
        return None
    day, separator, time = value.partition("T")
    if not _DATE.fullmatch(day) or (separator and len(day) < len("YYYY-MM-DD")):
        return None
    try:
        date.fromisoformat(day + "-01-01"[len(day) - len("YYYY") :])
    except ValueError:
        return None
    return value if _TIME.fullmatch(time) else day


def _instant(value: object) -> datetime | None:
    """Read a FHIR instant or dateTime; a bare date counts from midnight UTC, an odd one is no date."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
