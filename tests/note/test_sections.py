from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.mappings import load_lexicon
from sidecar.note import NoteLexicon, extract_bytes
from sidecar.note.lexicon import normalise_title
from tests.support import corpus


def titles(text: str) -> list[str]:
    return [section.title for section in extract_bytes(text.encode(), "text/plain").sections]


def coded(text: str) -> list[tuple[str, str | None]]:
    return [(section.title, section.code) for section in extract_bytes(text.encode(), "text/plain").sections]


def golden(name: str) -> list[str]:
    return [section.title for section in extract_bytes(corpus.note(name).data, "text/plain").sections]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CHIEF COMPLAINT:\nCough.\n", ("CHIEF COMPLAINT", "10154-3")),
        ("HISTORY OF PRESENT ILLNESS: He fell.\n", ("HISTORY OF PRESENT ILLNESS", "10164-2")),
        ("DISCHARGE MEDICATIONS:\n1. Aspirin.\n", ("DISCHARGE MEDICATIONS", "10183-2")),
        ("Past Medical History:\nNone.\n", ("Past Medical History", "11348-0")),
        ("Allergies: Sulfa.\n", ("Allergies", "48765-2")),
        ("## Plan\n- rest\n", ("Plan", "18776-5")),
        ("# Assessment and Plan\nStable.\n", ("Assessment and Plan", "51847-2")),
        ("**Assessment:** CHF.\n", ("Assessment", "51848-0")),
        ("A/P: Stable.\n", ("A/P", "51847-2")),
        ("ASSESSMENT & PLAN\nStable.\n", ("ASSESSMENT & PLAN", "51847-2")),
        ("HPI- He fell.\n", ("HPI", "10164-2")),
        ("HPI | He fell.\n", ("HPI", "10164-2")),
        ("HISTORY OF PRESENT ILLNESS (HPI)\nHe fell.\n", ("HISTORY OF PRESENT ILLNESS (HPI)", "10164-2")),
        ("1. Assessment\nStable.\n", ("1. Assessment", "51848-0")),
        ("Labs\n- K 4.1\n", ("Labs", "30954-2")),
        ("S: He fell.\n", ("S", "61150-9")),
        ("PREOPERATIVE DIAGNOSIS (ES): Hernia.\n", ("PREOPERATIVE DIAGNOSIS (ES)", "10219-4")),
    ],
)
def test_headings_that_clinicians_write_open_a_section_with_its_loinc_code(
    text: str, expected: tuple[str, str]
) -> None:
    assert coded(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "BP: 120/80\nHR: 80\nTemp: 98.6\n",
        "Dr. Smith: please call.\n",
        "He came at\n10:30 for follow up of his\nplan: none was made.\n",
        "PHYSICIAN SIGNATURE ____\n",
        "JOHN DOE, MD\n",
        "The following procedures were conducted:\n- colonoscopy\n",
        "HEENT: normal. NECK: supple.\n",
        "ALLERGIC TO PENICILLIN AND SULFA, SHE WAS NOT GIVEN ANY ANTIBIOTICS.\n",
        "General: well. Lungs: clear.\n",
        "He has no Plan B. Medications were given.\n",
    ],
)
def test_a_capitalised_word_before_a_colon_is_no_heading_by_itself(text: str) -> None:
    assert titles(text) == []


def test_a_section_starts_at_its_title_and_ends_where_the_next_one_starts() -> None:
    text = "Seen today.\n\nHPI: He fell.\n\nPLAN:\nRest.\n"
    note = extract_bytes(text.encode(), None)
    assert [(section.start, section.end) for section in note.sections] == [
        (text.index("HPI"), text.index("PLAN")),
        (text.index("PLAN"), len(text)),
    ]
    assert note.section_of(note.sentences[0]) is None


def test_titles_in_the_middle_of_a_line_are_found() -> None:
    text = "CHIEF COMPLAINT:, Back pain.,HISTORY OF PRESENT ILLNESS:, He fell.,PLAN:, Rest. ALLERGIES: None."
    assert titles(text) == ["CHIEF COMPLAINT", "HISTORY OF PRESENT ILLNESS", "PLAN", "ALLERGIES"]


def test_findings_of_the_examination_stay_in_its_section() -> None:
    text = "PHYSICAL EXAMINATION:\nVITAL SIGNS: BP 120/80.\nGENERAL: Well.\nHEENT: Normal.\n\nPLAN: Home.\n"
    assert titles(text) == ["PHYSICAL EXAMINATION", "PLAN"]


def test_vital_signs_outside_an_examination_are_a_section() -> None:
    assert coded("HPI: He fell.\n\nVITAL SIGNS: BP 120/80.\n")[1] == ("VITAL SIGNS", "8716-3")


def test_a_numbered_list_of_instructions_is_no_row_of_headings() -> None:
    text = "DISCHARGE INSTRUCTIONS:\n1. Activity\n2. Diet\n3. Wound care\n4. Call for fever.\n"
    assert titles(text) == ["DISCHARGE INSTRUCTIONS"]


def test_an_unknown_title_in_capitals_after_a_blank_line_is_a_section_without_code() -> None:
    text = "PLAN: Rest.\n\nDONOR EVALUATION NOTES: He is well.\n"
    assert coded(text)[1] == ("DONOR EVALUATION NOTES", None)


def test_a_hospital_can_add_its_own_titles() -> None:
    lexicon = load_lexicon("section-headings")
    assert NoteLexicon.load().titles.canonical("Ward round") == "Ward round"
    sections = [*lexicon["sections"], {"name": "Progress", "code": None, "titles": ["ward round"]}]
    own = type(NoteLexicon.load().titles).from_lexicon({**lexicon, "sections": sections})
    assert own.canonical("WARD-ROUND") == "Progress"


def test_no_title_of_the_lexicon_belongs_to_two_sections() -> None:
    lexicon = load_lexicon("section-headings")
    listed = [normalise_title(title) for entry in lexicon["sections"] for title in entry["titles"]]
    assert len(listed) == len(set(listed))
    assert set(listed).isdisjoint(map(normalise_title, lexicon["labels"]))


def test_a_discharge_summary_of_the_corpus_sections_as_a_reader_would() -> None:
    assert golden("copd-discharge-summary") == [
        "HISTORY OF PRESENT ILLNESS",
        "PAST MEDICAL HISTORY",
        "PHYSICAL EXAMINATION",
        "LABORATORY STUDIES",
        "HOSPITAL COURSE",
        "DISCHARGE DIAGNOSES",
        "COMPLICATIONS",
        "DISCHARGE CONDITION",
        "DISCHARGE PLAN",
    ]


def test_titles_without_colon_are_found_in_a_discharge_summary() -> None:
    assert golden("cva-discharge-summary") == ["DIAGNOSES ON ADMISSION", "DIAGNOSES ON DISCHARGE", "HOSPITAL COURSE"]


def test_a_consult_with_exam_lines_sections_as_a_reader_would() -> None:
    assert golden("consult-sepsis") == [
        "REASON FOR THE CONSULT",
        "HISTORY OF PRESENT ILLNESS",
        "PAST MEDICAL HISTORY",
        "SOCIAL HISTORY",
        "ALLERGIES",
        "CURRENT MEDICATIONS",
        "REVIEW OF SYSTEMS",
        "PHYSICAL EXAMINATION",
        "LABORATORY DATA",
        "RADIOLOGY",
        "IMPRESSION",
        "RECOMMENDATIONS",
    ]


def test_an_emergency_note_keeps_its_run_in_examination_whole() -> None:
    assert golden("agitation-er-visit") == [
        "CHIEF COMPLAINT",
        "HISTORY OF PRESENT ILLNESS",
        "PAST MEDICAL HISTORY",
        "REVIEW OF SYSTEMS",
        "SOCIAL HISTORY",
        "MEDICATIONS",
        "ALLERGIES",
        "PHYSICAL EXAMINATION",
        "EMERGENCY DEPARTMENT COURSE",
        "IMPRESSION",
        "PLAN",
    ]


def test_a_soap_note_sections_by_its_letters() -> None:
    assert golden("gen-med-soap-3") == ["S", "O", "A", "P"]


def test_a_visit_note_with_bullets_sections_as_a_reader_would() -> None:
    assert golden("D2N070") == [
        "CHIEF COMPLAINT",
        "HISTORY OF PRESENT ILLNESS",
        "REVIEW OF SYSTEMS",
        "PHYSICAL EXAMINATION",
        "RESULTS",
        "ASSESSMENT AND PLAN",
    ]


def test_an_operation_note_sections_as_a_reader_would() -> None:
    assert golden("cabg-1") == [
        "PREOPERATIVE DIAGNOSIS",
        "POSTOPERATIVE DIAGNOSIS",
        "OPERATION PROCEDURE",
        "INDICATION FOR THE PROCEDURE",
        "FINDINGS",
        "DESCRIPTION OF PROCEDURE",
    ]


def test_mixed_case_titles_of_a_resident_note_are_found() -> None:
    assert golden("GenSurg_UmbilicalHernia_1") == [
        "CC/HPI",
        "ROS",
        "PMHx",
        "PSHx",
        "Meds",
        "Allergies",
        "PE",
        "Labs/Ancillary studies",
        "A/P",
    ]


@pytest.mark.parametrize("name", ["shortness-of-breath-progress-note", "cardiology-letter"])
def test_a_note_of_plain_prose_has_no_sections(name: str) -> None:
    assert golden(name) == []


def test_typed_notes_of_the_corpus_are_nearly_all_sectioned_and_their_titles_known() -> None:
    found = [
        section
        for note in corpus.notes()
        if note.loinc not in {None, corpus.IMAGING_REPORT}
        for section in extract_bytes(note.data, None).sections
    ]
    known = NoteLexicon.load().titles
    assert len(found) > 2000
    assert sum(known.find(section.title) is not None for section in found) / len(found) > 0.93


@given(st.text(alphabet=st.sampled_from("AB a:\n#*.-|1\t"), max_size=80))
def test_sections_are_in_order_and_begin_with_their_title(text: str) -> None:
    note_text = text + "\nPLAN: x"
    note = extract_bytes(note_text.encode(), "text/plain")
    for section in note.sections:
        assert note.text.startswith(section.title, section.start)
    ends = [section.end for section in note.sections]
    assert ends == [*(section.start for section in note.sections[1:]), len(note.text)]
