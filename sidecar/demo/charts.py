"""Resources of an invented chart: patient, clinicians, encounter, document. R4, LOINC document types."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidecar.demo.search import instant

if TYPE_CHECKING:
    from datetime import datetime

LOINC = "http://loinc.org"
MRN_SYSTEM = "http://example.org/demo-ehr/mrn"

DOCUMENT_TYPES = {
    "18842-5": "Discharge summary",
    "11506-3": "Progress note",
    "34117-2": "History and physical note",
    "11488-4": "Consult note",
    "28570-0": "Procedure note",
    "34111-5": "Emergency department Note",
    "11504-8": "Surgical operation note",
    "51851-4": "Administrative note",
}

_CATEGORY = {
    "coding": [
        {
            "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
            "code": "clinical-note",
            "display": "Clinical Note",
        }
    ]
}
_ENCOUNTER_CLASSES = {
    "IMP": "inpatient encounter",
    "AMB": "ambulatory",
    "EMER": "emergency",
}


@dataclass(frozen=True, slots=True)
class Person:
    """An invented patient; `age` in years on the day of the demo."""

    id: str
    given: str
    family: str
    gender: str
    age: int


@dataclass(frozen=True, slots=True)
class Visit:
    """An invented encounter of one patient."""

    id: str
    patient_id: str
    encounter_class: str


def patient(person: Person, now: datetime) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": person.id,
        "identifier": [{"system": MRN_SYSTEM, "value": f"DEMO-{_digits(person.id)}"}],
        "name": [
            {"text": f"{person.given} {person.family}", "family": person.family, "given": [person.given]},
        ],
        "gender": person.gender,
        "birthDate": f"{now.year - person.age - 1}-12-31",  # has had this year's birthday on every day of the year
    }


def practitioner(practitioner_id: str, name: str) -> dict[str, Any]:
    given, family = name.rsplit(" ", 1)
    return {
        "resourceType": "Practitioner",
        "id": practitioner_id,
        "name": [{"text": name, "family": family, "given": [given]}],
    }


def encounter(visit: Visit, started: datetime) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": visit.id,
        "status": "in-progress",
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": visit.encounter_class,
            "display": _ENCOUNTER_CLASSES[visit.encounter_class],
        },
        "subject": {"reference": f"Patient/{visit.patient_id}"},
        "period": {"start": instant(started)},
    }


def document(
    document_id: str, type_code: str, visit: Visit, author: str, written: datetime, attachment: dict[str, Any]
) -> dict[str, Any]:
    """Return a current, final note of `visit` in one attachment."""
    display = DOCUMENT_TYPES[type_code]
    return {
        "resourceType": "DocumentReference",
        "id": document_id,
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": LOINC, "code": type_code, "display": display}], "text": display},
        "category": [_CATEGORY],
        "subject": {"reference": f"Patient/{visit.patient_id}"},
        "date": instant(written),
        "author": [{"reference": f"Practitioner/{author}"}],
        "content": [{"attachment": attachment}],
        "context": {
            "encounter": [{"reference": f"Encounter/{visit.id}"}],
            "period": {"start": instant(written), "end": instant(written)},
        },
    }


def inline_attachment(media_type: str, data: bytes) -> dict[str, Any]:
    return {"contentType": media_type, "data": base64.b64encode(data).decode(), **_fingerprint(data)}


def linked_attachment(media_type: str, data: bytes, binary_id: str) -> dict[str, Any]:
    return {"contentType": media_type, "url": f"Binary/{binary_id}", **_fingerprint(data)}


def binary(binary_id: str, media_type: str, data: bytes) -> dict[str, Any]:
    return {
        "resourceType": "Binary",
        "id": binary_id,
        "contentType": media_type,
        "data": base64.b64encode(data).decode(),
    }


def _fingerprint(data: bytes) -> dict[str, Any]:
    digest = hashlib.sha1(data, usedforsecurity=False).digest()  # FHIR R4 defines Attachment.hash as SHA-1
    return {"size": len(data), "hash": base64.b64encode(digest).decode()}


def _digits(text: str) -> str:
    """Derive a stable number to show as a record number."""
    return f"{int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], 'big') % 1_000_000:06d}"
