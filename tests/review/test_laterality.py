from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidecar.review import FindingCode, Verdict

if TYPE_CHECKING:
    from tests.review.conftest import Judge


@pytest.mark.parametrize(
    ("source", "statement"),
    [
        ("Right knee pain.", "Left knee pain."),
        ("Pain in the right knee after a fall.", "He fell and has pain in the left knee."),
        ("Right lower lobe pneumonia was treated.", "Left lower lobe pneumonia was treated."),
        ("RLL pneumonia was treated with ceftriaxone.", "Left lower lobe pneumonia was treated with ceftriaxone."),
        ("Bilateral knee pain.", "Left knee pain."),
        ("Strength is 4/5 on the left and 5/5 on the right.", "Strength is 4/5 on the right and 5/5 on the left."),
        ("Carotid bruit on the right side.", "Carotid bruit on the left side."),
        ("X-rays of the right hand show no fracture.", "She fell; x-rays of the left hand show no fracture."),
        ("He lies on his right side, which helps.", "He lies on his left side, which helps."),
        ("Wheezes bilaterally.", "Right wheezes."),
    ],
)
def test_a_changed_side_is_a_contradiction(judge: Judge, source: str, statement: str) -> None:
    judged = judge(source, statement)
    assert FindingCode.LATERALITY in {finding.code for finding in judged.findings}
    assert judged.verdict is Verdict.CONTRADICTED


@pytest.mark.parametrize(
    ("source", "statement"),
    [
        ("Right knee pain.", "Pain in the right knee."),
        ("R knee pain.", "Right knee pain."),
        ("RLL pneumonia was treated with ceftriaxone.", "Right lower lobe pneumonia was treated with ceftriaxone."),
        ("Pain in the left and right knee.", "Bilateral knee pain."),
        ("Right knee swollen, left knee normal.", "The left knee is normal, the right knee swollen."),
        ("He is right handed and hurt his left hand.", "He hurt his left hand."),
        ("He left the hospital right away.", "He left the hospital."),
        ("Right knee pain, left hip pain.", "Left hip and right knee pain."),
        ("Drained 2 L of fluid from the right chest.", "Drained 2 L of fluid."),
    ],
)
def test_one_side_told_in_other_words_is_clean(judge: Judge, source: str, statement: str) -> None:
    assert judge(source, statement).findings == ()
