from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.mappings import load_lexicon
from sidecar.review import OmissionKind, policy_from

if TYPE_CHECKING:
    from sidecar.review import ReviewPolicy
    from tests.review.conftest import Draft

FILLER = "HPI: She came with a cough.\n"

ITEMS = [
    ("ALLERGIES: Sulfa (rash).", OmissionKind.ALLERGY, "Sulfa (rash)"),
    ("She is allergic to penicillin.", OmissionKind.ALLERGY, "penicillin"),
    ("PLAN: Give Cipro, she is allergic to Motrin which causes hives.", OmissionKind.ALLERGY, "Motrin"),
    ("MEDICATIONS: Coumadin 5 mg daily.", OmissionKind.ANTICOAGULANT, "Coumadin 5 mg daily"),
    ("PLAN: Apixaban was continued.", OmissionKind.ANTICOAGULANT, "Apixaban was continued"),
    ("LABS: Blood cultures are pending.", OmissionKind.PENDING_TEST, "Blood cultures are pending"),
    ("PLAN: Follow up with Dr. X in 2 weeks.", OmissionKind.FOLLOW_UP, "Follow up with Dr. X in 2 weeks"),
    ("FOLLOWUP: Cardiology in two weeks.", OmissionKind.FOLLOW_UP, "Cardiology in two weeks"),
    ("PLAN: Repeat the TSH in six weeks.", OmissionKind.FOLLOW_UP, "Repeat the TSH in six weeks"),
    ("PLAN: Return if the fever comes back.", OmissionKind.RETURN_PRECAUTION, "Return if the fever comes back"),
    (
        "PLAN: Call our office if there is bleeding.",
        OmissionKind.RETURN_PRECAUTION,
        "Call our office if there is bleeding",
    ),
    ("PLAN: 2. Return to clinic in a month.", OmissionKind.FOLLOW_UP, "Return to clinic in a month"),
    ("The patient is DNR.", OmissionKind.CODE_STATUS, "The patient is DNR"),
]


@pytest.mark.parametrize(("line", "kind", "text"), ITEMS)
def test_a_critical_item_that_no_statement_says_is_listed_in_the_notes_words(
    draft: Draft, line: str, kind: OmissionKind, text: str
) -> None:
    source = FILLER + line
    missing = draft(source, "She came with a cough.").not_carried_over
    assert [(item.kind, item.text) for item in missing] == [(kind, text)]
    assert " ".join(source[slice(*missing[0].source_span)].split()).rstrip(".") == text


@pytest.mark.parametrize(("line", "kind", "text"), ITEMS)
def test_an_item_that_a_statement_restates_is_not_listed(
    draft: Draft, line: str, kind: OmissionKind, text: str
) -> None:
    statement = line.partition(":")[2].strip() or line
    if kind is OmissionKind.ALLERGY:
        statement = f"Allergies: {text}."
    assert draft(FILLER + line, "She came with a cough.", statement).not_carried_over == ()


@pytest.mark.parametrize(
    "line",
    [
        "ALLERGIES: None.",
        "ALLERGIES: NKDA.",
        "ALLERGIES: Refer to chart.",
        "ALLERGIES: No known drug allergies.",
        "ALLERGIES: To medications per chart are none.",
        "She has no allergies to medicines.",
        "She is not on warfarin.",
        "She was on warfarin years ago.",
        "There is no heparin in the line.",
        "FAMILY HISTORY: Mother took warfarin.",
        "The line was cleared with heparin flush.",
        "No results are pending.",
        "No follow-up needed.",
        "She presents for follow-up of diabetes.",
        "CHIEF COMPLAINT: Follow up with cardiology.",
        "He was referred to us and will return to work in a week.",
        "Please feel free to contact me if you have questions.",
        "He is back in a regular school.",
        "She denies code status questions.",
    ],
)
def test_denied_past_and_passing_mentions_are_no_items(draft: Draft, line: str) -> None:
    assert draft(FILLER + line, "She came with a cough.").not_carried_over == ()


def test_each_allergen_of_a_list_is_an_item(draft: Draft) -> None:
    source = FILLER + "ALLERGIES: Penicillin (anaphylaxis), sulfa and latex."
    missing = draft(source, "Allergic to sulfa.").not_carried_over
    assert [item.text for item in missing] == ["Penicillin (anaphylaxis)", "latex"]


def test_a_drug_given_does_not_carry_the_allergy_to_it(draft: Draft) -> None:
    source = "HPI: She was treated with penicillin for the cough.\nALLERGIES: Penicillin."
    missing = draft(source, "She was treated with penicillin for the cough.").not_carried_over
    assert [item.kind for item in missing] == [OmissionKind.ALLERGY]


def test_a_brand_name_carries_the_generic(draft: Draft) -> None:
    source = FILLER + "MEDICATIONS: Warfarin 5 mg daily.\nPLAN: Coumadin was continued."
    assert draft(source, "Coumadin was continued.").not_carried_over == ()


def test_a_repeated_item_is_listed_once(draft: Draft) -> None:
    source = FILLER + "MEDICATIONS: Warfarin 5 mg daily.\nPLAN: Continue warfarin.\nContinue Coumadin."
    assert len(draft(source, "She came with a cough.").not_carried_over) == 1


def test_a_removed_statement_carries_nothing(draft: Draft) -> None:
    source = FILLER + "PLAN: Follow up with Dr. X in 2 weeks."
    reviewed = draft(source, "She came with a cough.", "Follow up with Dr. X in 3 weeks.")
    assert [item.kind for item in reviewed.not_carried_over] == [OmissionKind.FOLLOW_UP]


def test_a_long_sentence_is_cut_at_a_word(draft: Draft) -> None:
    source = (
        FILLER
        + "PLAN: After a long talk with the family we agreed that she will follow up "
        + "quite soon " * 20
        + "here."
    )
    (item,) = draft(source, "She came with a cough.").not_carried_over
    assert len(item.text) <= 80
    assert item.text in " ".join(source.split())
    assert source[item.source_span[1]].isspace()


def test_a_policy_lists_only_its_kinds(policy: ReviewPolicy) -> None:
    kinds = {kind.kind for kind in policy.critical.kinds}
    assert kinds == {
        OmissionKind.ALLERGY,
        OmissionKind.ANTICOAGULANT,
        OmissionKind.PENDING_TEST,
        OmissionKind.FOLLOW_UP,
        OmissionKind.RETURN_PRECAUTION,
        OmissionKind.CODE_STATUS,
    }


def test_a_hospital_can_add_a_name_without_code(draft: Draft) -> None:
    lexicon = load_lexicon("critical-items")
    lexicon["kinds"]["anticoagulant"]["names"].append(["nattokinase"])
    kinds = {kind.kind: kind for kind in policy_from(lexicon).critical.kinds}
    assert "nattokinase" in kinds[OmissionKind.ANTICOAGULANT].names
    assert draft(FILLER + "She takes nattokinase.", "She came with a cough.").not_carried_over == ()


@given(st.text(alphabet="allergic to sulfa,()\n.:-DNRwarin followup in2 ", max_size=120))
def test_any_source_gives_pieces_that_are_its_own_words(draft: Draft, source: str) -> None:
    for item in draft(source, "x").not_carried_over:
        assert 0 < len(item.text) <= 80
        assert item.text in " ".join(source[slice(*item.source_span)].split())
