"""DocumentReferences for tests, built from plain text."""

from __future__ import annotations

import base64
from typing import Any

DISCHARGE = """DISCHARGE SUMMARY

REASON FOR ADMISSION: 67-year-old woman with three days of fever and cough.

HOSPITAL COURSE: Right lower lobe pneumonia was treated with ceftriaxone 1 g daily. On day 3 she was changed to
amoxicillin-clavulanate 875 mg twice a day. Potassium was 5.9 and lisinopril was stopped.

ALLERGIES: Sulfa, which causes a rash.

PLAN: Follow up with Dr. Lee in 2 weeks. Return if fever above 38.5 or shortness of breath.
"""


def attachment(text: str, media_type: str = "text/plain") -> dict[str, Any]:
    return {"contentType": media_type, "data": base64.b64encode(text.encode()).decode()}


def document(document_id: str = "d1", text: str = DISCHARGE, **changes: Any) -> dict[str, Any]:
    resource = {
        "resourceType": "DocumentReference",
        "id": document_id,
        "meta": {"versionId": "1"},
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5", "display": "Discharge summary"}]},
        "subject": {"reference": "Patient/p1"},
        "date": "2026-11-20T10:00:00Z",
        "content": [{"attachment": attachment(text)}],
        "context": {"encounter": [{"reference": "Encounter/e1"}]},
        **changes,
    }
    return {name: value for name, value in resource.items() if value is not None}


ENCOUNTER = {"resourceType": "Encounter", "id": "e1", "status": "finished", "subject": {"reference": "Patient/p1"}}


def text_of(resource: dict[str, Any]) -> str:
    return base64.b64decode(resource["content"][0]["attachment"]["data"]).decode()
