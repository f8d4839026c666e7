"""The extractive engine on notes as the note room reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.drafting.engine import DraftRequest
from sidecar.drafting.extractive import extract_draft
from sidecar.note import extract_bytes

if TYPE_CHECKING:
    from sidecar.drafting.rules import Rules
    from sidecar.mappings import Mappings

DISCHARGE = """
ADMISSION DIAGNOSIS: Shortness of breath.

DISCHARGE DIAGNOSES:
1. Congestive heart failure, acute on chronic.
2. Atrial fibrillation.
3. Chronic kidney disease, stage 3.

HISTORY OF PRESENT ILLNESS: The patient is an 81-year-old man who presented with
one week of worsening shortness of breath and swelling of both legs. He lives with
his daughter and enjoys fishing.

HOSPITAL COURSE: He was treated with IV furosemide and lost 6 kg. Lisinopril was
stopped because potassium rose to 5.9. The echocardiogram showed an ejection
fraction of 30%. He remained without chest pain. He was weaned off oxygen and
improved.

PHYSICAL EXAMINATION:
GENERAL: No acute distress.
LUNGS: Clear to auscultation bilaterally.
HEART: Irregularly irregular, no murmur.

ALLERGIES: None.

DISCHARGE MEDICATIONS:
1. Furosemide 40 mg p.o. b.i.d.
2. Apixaban 2.5 mg p.o. b.i.d.
3. Metoprolol succinate 50 mg p.o. daily.

PENDING: Blood culture, second set.

FOLLOW UP: Dr. Roe in one week with a basic metabolic panel. Return to the
emergency department for weight gain of more than 2 kg or shortness of breath.

Electronically signed by Jane Poe, MD
"""


@pytest.fixture
def drafted(mappings: Mappings, rules: Rules) -> dict[str, list[str]]:
    task = mappings.note_types["http://loinc.org", "18842-5"].task
    answer = extract_draft(DraftRequest(task, extract_bytes(DISCHARGE.encode(), "text/plain")), rules)
    return {part.title: [statement.text for statement in part.statements] for part in answer.sections}


def test_a_discharge_summary_is_summarised_as_a_physician_would(drafted: dict[str, list[str]]) -> None:
    assert drafted["DIAGNOSES"] == [
        "Congestive heart failure, acute on chronic.",
        "Atrial fibrillation.",
        "Chronic kidney disease, stage 3.",
    ]
    course = " ".join(drafted["HOSPITAL COURSE"])
    assert "Lisinopril was stopped because potassium rose to 5.9." in course
    assert "The echocardiogram showed an ejection fraction of 30%." in course
    assert drafted["MEDICATIONS AND CHANGES"] == [
        "Furosemide 40 mg p.o. b.i.d.",
        "Apixaban 2.5 mg p.o. b.i.d.",
        "Metoprolol succinate 50 mg p.o. daily.",
    ]
    assert drafted["ALLERGIES AND ALERTS"] == ["ALLERGIES: None."]
    follow_up, precaution = drafted["PLAN AND FOLLOW-UP"]
    assert follow_up.endswith("Dr. Roe in one week with a basic metabolic panel.")
    assert precaution.startswith("Return to the emergency department for weight gain")


def test_what_is_pending_is_in_it(drafted: dict[str, list[str]]) -> None:
    assert drafted["RESULTS TO KNOW"] == ["PENDING: Blood culture, second set."]


@pytest.mark.parametrize("words", ["fishing", "Clear to auscultation", "acute distress", "signed"])
def test_what_a_reader_does_not_need_is_not(drafted: dict[str, list[str]], words: str) -> None:
    assert not [text for texts in drafted.values() for text in texts if words in text]
