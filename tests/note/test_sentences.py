from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.note import NoteText, attachments, choose, extract_bytes, read_attachment
from tests.support import corpus


def sentences(text: str) -> list[str]:
    note = extract_bytes(text.encode(), "text/plain")
    return [note.slice(span) for span in note.sentences]


def golden(name: str) -> list[str]:
    return [" ".join(sentence.split()) for sentence in sentences(corpus.note(name).text)]


def check_coverage(note: NoteText) -> None:
    """Assert that sentences are in order, apart, trimmed, and cover all words but titles."""
    position = 0
    covered = bytearray(len(note.text))
    for start, end in note.sentences:
        assert position <= start < end
        assert note.text[start:end] == note.text[start:end].strip()
        covered[start:end] = b"\x01" * (end - start)
        position = end
    for section in note.sections:
        covered[section.start : section.start + len(section.title)] = b"\x01" * len(section.title)
    assert not [
        character for character, seen in zip(note.text, covered, strict=True) if not seen and character.isalnum()
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith saw J. Doe.",
        "No evid. of PE.",
        "She weighs approx. 70 kg.",
        "Metoprolol 25 mg p.o. b.i.d. with food.",
        "Aspirin q.d. Lipitor q.h.s.",
        "Seen at 7 a.m. Sunday.",
        "K 4.1 vs. 3.5 before.",
        "Room No. 5 was clean.",
        "Temp. 98.6 today.",
        "Mrs. M. Jones of St. Mary's.",
        "Neg. for fever.",
        "Pt. denies pain.",
        "Give 1.5 mg.",
    ],
)
def test_an_abbreviation_never_ends_a_sentence(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He fell. She came.", ["He fell.", "She came."]),
        ("Aspirin b.i.d. The patient left.", ["Aspirin b.i.d.", "The patient left."]),
        ("He has hepatitis C. Follow up.", ["He has hepatitis C.", "Follow up."]),
        ("Normal exam. Lungs clear.", ["Normal exam.", "Lungs clear."]),
        ("Allergies? No. Smoking? No.", ["Allergies?", "No.", "Smoking?", "No."]),
        ("No chest pain.The patient left.", ["No chest pain.", "The patient left."]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("Sodium 138. 3 days later 140.", ["Sodium 138.", "3 days later 140."]),
        ("no fever today. he denies pain.", ["no fever today.", "he denies pain."]),
        ("1. Diabetes. 2. Hypertension.", ["1. Diabetes.", "2. Hypertension."]),
        ("1. Diabetes.,2. Hypertension.,3. Gout.", ["1. Diabetes.,", "2. Hypertension.,", "3. Gout."]),
        ("LUNGS: clear HEART: regular", ["LUNGS: clear", "HEART: regular"]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


WRAPPED = """\
He was admitted with a three-day history of cough and fever and there was no
evidence of pulmonary embolism on the scan, and blood pressure fell to the low
70s with a mean arterial pressure that the nurse on the ward had measured as
52. Dr. X was consulted from the bedside and the potassium of this morning was
3.9 and the patient was given fluids, and she did not need any vasopressors.
"""


def test_hard_wrapped_lines_are_joined_and_a_negation_stays_with_its_finding() -> None:
    found = [" ".join(sentence.split()) for sentence in sentences(WRAPPED)]
    assert any("no evidence of pulmonary embolism" in sentence for sentence in found)
    assert any("measured as 52." in sentence for sentence in found)
    assert any("the potassium of this morning was 3.9" in sentence for sentence in found)
    assert len(found) == 2


def test_list_items_rows_and_labels_are_sentences_of_their_own() -> None:
    text = "MEDICATIONS:\n- aspirin 81 mg\n* statin\n1. warfarin\n2) heparin\nNa\t138\nK | 4.1\nHR: 80\nBP: 120/80\n"
    assert sentences(text) == [
        "- aspirin 81 mg",
        "* statin",
        "1. warfarin",
        "2) heparin",
        "Na\t138",
        "K | 4.1",
        "HR: 80",
        "BP: 120/80",
    ]


def test_drugs_on_lines_of_their_own_are_not_glued() -> None:
    text = "aspirin 81 mg daily\nlisinopril 10 mg daily\nmetoprolol 25 mg b.i.d.\n"
    assert sentences(text) == text.splitlines()


def test_a_wrapped_list_item_is_one_sentence() -> None:
    text = (
        "1. Cerebrovascular accident with right arm weakness and MRI indicating\n"
        "acute/subacute infarct involving the left posterior parietal lobe without mass\n"
        "effect.\n2. Bronchitis.\n"
    )
    found = sentences(text)
    assert len(found) == 2
    assert found[0].endswith("effect.")


def test_a_blank_line_ends_a_sentence() -> None:
    assert sentences("No stop here\n\nNext paragraph") == ["No stop here", "Next paragraph"]


def test_the_sentence_of_a_run_in_heading_starts_after_title_and_colon() -> None:
    assert sentences("PLAN: Rest.\nCHIEF COMPLAINT:, Cough.\n") == ["Rest.", "Cough."]


@pytest.mark.parametrize("separator", ["., ", "; ", ".,"])
def test_a_very_long_list_is_cut_at_its_separators(separator: str) -> None:
    text = separator.join(f"{n}. Condition number {n} of the long list" for n in range(1, 30))
    found = sentences(text)
    assert max(map(len, found)) <= 400
    assert all(sentence[0].isdigit() for sentence in found)


def test_a_very_long_list_of_drugs_is_cut_between_drugs() -> None:
    names = ("Celebrex", "Colace", "Protonix", "Synthroid", "Lasix", "Zocor")
    text = "He takes " + ", ".join(
        f"{name} 100 mg b.i.d. for one month with plenty of water at night" for name in names * 2
    )
    found = sentences(text + ".")
    assert len(found) > 1
    assert all(sentence.startswith(("He takes", *names)) for sentence in found)


def test_a_long_denial_is_never_cut() -> None:
    text = "He denies " + "; ".join(f"symptom {n} of the long list" for n in range(30)) + "."
    assert sentences(text) == [text]


def test_a_plan_of_the_corpus_splits_as_a_reader_would() -> None:
    found = golden("gen-med-soap-3")
    assert found[-4:] == [
        "1. Motrin as needed for fever and discomfort.",
        "2. Push fluids.",
        "3. Continue on the Keflex.",
        "4. Follow up with Dr. ABC if symptoms persist or worsen, otherwise as needed.",
    ]


def test_wrapped_values_of_the_corpus_stay_with_their_analyte() -> None:
    found = golden("atrial-flutter-progress-note")
    assert any(sentence.startswith("Potassium 3.9, chloride 114") for sentence in found)
    assert any(sentence.endswith("with a MAP of 52.") for sentence in found)
    assert "Dr. X was again consulted from the bedside." in found


def test_a_drug_list_of_the_corpus_is_not_torn_at_its_wraps() -> None:
    found = golden("consult-atrial-fibrillation")
    assert (
        "Please see attached list including hydralazine, Celebrex, Colace, metformin, aspirin, potassium, Lasix, "
        "Levaquin, Norvasc, insulin, Plavix, lisinopril, and Zocor."
    ) in found
    assert "The patient 's hemoglobin was 8.2 a few days ago before blood transfusion." in found


def test_a_title_at_a_line_end_of_the_corpus_keeps_its_name() -> None:
    assert "The patient underwent upper endoscopy performed by Dr. A, which revealed erosive gastritis." in golden(
        "gi-bleed-discharge-summary"
    )


def test_doses_of_the_corpus_do_not_end_a_sentence() -> None:
    assert "The patient currently is taking Synthroid 75 mcg per day and lithium 1200 mg p.o. q.d." in golden(
        "psych-consult-depression-1"
    )


def test_results_of_the_corpus_are_lines_of_their_own() -> None:
    found = golden("Peds_FebrileSez_1")
    assert "WBC URINE >100 (H)" in found
    assert "pH URINE 6.0" in found
    assert "* EEG to r/o seizure disorder." in found


def test_a_generated_note_with_odd_line_breaks_reads_as_sentences() -> None:
    path = corpus.corpus_root() / "synthea-bulk" / "DocumentReference.ndjson"
    resource = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    note = read_attachment(choose(attachments(resource)))
    found = [" ".join(note.slice(span).split()) for span in note.sentences]
    assert found[2].startswith("Sumiko254 Larue605 is a ")
    assert "Patient quit smoking at age 20." in found
    assert "No Known Allergies." in found


@pytest.mark.parametrize("note", corpus.all_notes(), ids=lambda note: note.id)
def test_sentences_of_each_note_of_the_corpus_cover_it(note: corpus.CorpusNote) -> None:
    check_coverage(extract_bytes(note.data, note.media_type))


_PIECES = st.sampled_from(
    [
        "PLAN:",
        "## Plan",
        "HEENT:",
        "Dr.",
        "1.",
        "2)",
        "- ",
        "* ",
        "a.m.",
        "b.i.d.",
        "No",
        "fever",
        "3.5",
        ".",
        ".,",
        "?",
        ";",
        "|",
        "\t",
        "\n",
        "\n\n",
        "  \n",
        " ",
        "   ",
        "(",
        ")",
        '"',
        "x" * 60,
        "He",
        "CHIEF COMPLAINT:,",
        "\u00a0",
        "é",
    ]
)


@given(st.lists(_PIECES, max_size=60).map("".join))
def test_sentences_cover_any_text_in_order_without_overlap(text: str) -> None:
    check_coverage(extract_bytes(("x " + text).encode(), "text/plain"))


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=200))
def test_sentences_cover_arbitrary_unicode(text: str) -> None:
    check_coverage(extract_bytes(("x " + text).encode(), "text/plain"))
