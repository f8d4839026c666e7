from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.review import FindingCode, Verdict

if TYPE_CHECKING:
    from tests.review.conftest import Judge


@pytest.mark.parametrize(
    ("source", "statement"),
    [
        ("She denies chest pain.", "She reports chest pain."),
        ("She denies chest pain, fever or cough.", "She has chest pain and cough."),
        ("She reports chest pain.", "She denies chest pain."),
        ("No evidence of infection.", "Evidence of infection."),
        ("There is no fracture.", "There is a fracture."),
        ("Lungs clear without wheezes.", "Lungs clear with wheezes."),
        ("Abdomen is nontender.", "Abdomen is tender."),
        ("He cannot walk unaided.", "He can walk unaided."),
        ("He does not smoke.", "He does smoke."),
        ("Straight leg raise is negative.", "Straight leg raise is positive."),
        ("She is not sure about the dose.", "She is sure about the dose."),
        (
            "She walks.\nThe pain does not prevent her from working.",
            "She walks; the pain does prevent her from working.",
        ),
        ("He denies issues with the migraines.", "He reports issues with the migraines; he rests."),
        ("The patient has never had a seizure in his life.", "The patient has had a seizure in his life."),
        ("Chest pain: none.", "Chest pain."),
        ("A fracture was ruled out.", "A fracture was seen."),
    ],
)
def test_a_flipped_negation_is_a_contradiction(judge: Judge, source: str, statement: str) -> None:
    judged = judge(source, statement)
    assert [finding.code for finding in judged.findings] == [FindingCode.NEGATION]
    assert judged.verdict is Verdict.CONTRADICTED


@pytest.mark.parametrize(
    ("source", "statement"),
    [
        ("She denies chest pain.", "No chest pain."),
        ("She denies chest pain, fever or cough.", "Negative for fever, cough and chest pain."),
        ("Negative for chest pain.", "Without chest pain."),
        ("Chest pain: none.", "She denies chest pain."),
        ("She doesn't smoke.", "She does not smoke."),
        ("She denies chest pain but has a cough.", "She has a cough."),
        ("No change in the cough.", "The cough shows no change."),
        ("Return if there is fever.", "Return for fever."),
        ("Her cough has resolved.", "No cough now."),
        ("She quit smoking.", "She does not smoke."),
        ("She had a fever at home. No fever in clinic.", "Fever at home, no fever in clinic."),
        ("Not only cough but also fever.", "Cough and fever."),
        ("Respiratory: Denies shortness of breath.\nEXAM:\nRespiratory", "Respiratory"),
        ("X-rays reveal no fracture.", "X-rays did not reveal any signs of a fracture."),
        ("She denies any chest pain.", "She does not report any chest pain."),
        ("She notes that the pain is better.", "The pain is better."),
        ("Less than 100 mL.\nNone.", "Less than 100 mL; none."),
        ("Numbness down her legs, but no pain down her legs.", "Numbness down her legs."),
        ("Tingling until Sunday, denies tingling today.", "Tingling until Sunday, does not report tingling today."),
        ("Lateral neck pain, but no radicular pain.", "A flare of cervical radiculopathy."),
        (
            "She is not sure if it is her back or not.\nShe exercises more.",
            "She is not sure if it is her back or not; she exercises more.",
        ),
        ("Rapid test performed today in office is negative.", "Blood pressure in office today was high."),
    ],
)
def test_a_paraphrase_is_no_flip(judge: Judge, source: str, statement: str) -> None:
    assert [finding for finding in judge(source, statement).findings if finding.code is FindingCode.NEGATION] == []
