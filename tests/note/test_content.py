from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ParkEvent, SkipEvent
from sidecar.note import extract_bytes, is_empty_template, language
from tests.support import corpus


@pytest.mark.parametrize(
    "text",
    [
        "HPI:\n\nROS:\n\nPlan: ____\n",
        "Chief Complaint: ***\nBP: [ ] normal [ ] abnormal\n",
        "Name: ______\nDate: ______\nAssessment: .....\n",
        "# Chief Complaint\n\n# Plan\n",
    ],
)
def test_headings_and_blanks_with_nothing_filled_in_are_an_empty_template(text: str) -> None:
    assert is_empty_template(extract_bytes(text.encode(), None))


@pytest.mark.parametrize(
    "text",
    [
        "HPI: He fell.\n\nROS:\n\nPlan: ____\n",
        "BP: [x] normal [ ] abnormal\n",
        "Weight: 70\n",
        "PLAN:\nNone.\n",
        "NKDA.",
    ],
)
def test_one_thing_filled_in_makes_a_note(text: str) -> None:
    assert not is_empty_template(extract_bytes(text.encode(), None))


def test_no_note_of_the_corpus_is_an_empty_template() -> None:
    assert [note.id for note in corpus.notes() if is_empty_template(extract_bytes(note.data, None))] == []


def test_every_note_of_the_corpus_is_taken_for_english() -> None:
    assert [note.id for note in corpus.notes() if language(extract_bytes(note.data, None)) != "en"] == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("NKDA. BP 120/80. RRR, CTAB.", "en"),
        ("Metoprolol 25 mg PO BID\nASA 81 mg", "en"),
        ("Der Patient wurde mit Fieber aufgenommen und ist nicht mehr krank. Die Therapie mit dem Antibiotikum.", "de"),
        ("El paciente fue ingresado con dolor en el pecho y se trató con aspirina por la noche.", "es"),
        (
            "La patiente est hospitalisée pour une pneumonie avec des frissons et les douleurs sont dans le thorax.",
            "fr",
        ),
        ("Пациент жалуется на боль в груди.", "und"),
        ("患者主诉胸痛三天。", "und"),
    ],
)
def test_only_clear_evidence_makes_a_note_foreign(text: str, code: str) -> None:
    assert language(extract_bytes(text.encode(), None)) == code


def test_repeats_are_paired_with_their_first_occurrence() -> None:
    paragraph = "The patient was seen today and he feels well.\nHe has no complaints about anything."
    spread = paragraph.replace("\n", "  ")
    text = f"{paragraph}\n\nShort line.\n\n{spread}\n\nShort line.\n"
    note = extract_bytes(text.encode(), None)
    second = text.index(spread)
    assert note.duplicates == (((second, second + len(spread)), (0, len(paragraph))),)


def test_a_repeated_sentence_inside_new_paragraphs_is_a_repeat() -> None:
    sentence = "Continue the current dose of metoprolol for now."
    text = f"He is well. {sentence}\n\nShe is ill. {sentence}\n"
    note = extract_bytes(text.encode(), None)
    assert [(note.slice(repeat), note.slice(first)) for repeat, first in note.duplicates] == [(sentence, sentence)]
    assert note.duplicates[0][0][0] > note.duplicates[0][1][0]


def test_repeats_shorter_than_forty_characters_are_none() -> None:
    assert extract_bytes(b"No acute distress.\n\nNo acute distress.\n", None).duplicates == ()


@given(st.binary(max_size=300), st.sampled_from([None, "text/plain", "text/html", "application/xhtml+xml", "x"]))
def test_any_bytes_end_as_a_note_or_a_named_outcome(data: bytes, label: str | None) -> None:
    try:
        note = extract_bytes(data, label)
    except (ParkEvent, SkipEvent):
        return
    assert any(map(str.isalnum, note.text))
    assert note.sentences or note.sections
