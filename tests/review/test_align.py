from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sidecar.review import FindingCode, Verdict
from sidecar.review.align import align
from sidecar.review.source import Source
from sidecar.review.words import words

if TYPE_CHECKING:
    from tests.review.conftest import Judge, NoteOf

SOURCE = """HPI: A 67-year-old woman with fever and
cough for three days. She denies chest pain.
LABS: Potassium 5.9. Sodium 140. Potassium 5.9.
PLAN: Lisinopril was stopped because of the potassium. Follow up with Dr. X in 2 weeks.
"""


def found(note_of: NoteOf, text: str, *cited: int, source: str = SOURCE) -> list[str]:
    alignment = align(Source(note_of(source)), text, words(text), cited)
    return [" ".join(source[start:end].split()) for start, end in alignment.evidence]


def test_a_sentence_of_the_source_is_its_own_evidence_whatever_its_case_and_white_space(note_of: NoteOf) -> None:
    assert found(note_of, "she  denies CHEST pain") == ["She denies chest pain."]


def test_a_quotation_over_a_line_end_gives_both_lines(note_of: NoteOf) -> None:
    assert found(note_of, "fever and cough for three days") == [
        "A 67-year-old woman with fever and",
        "cough for three days.",
    ]


def test_a_paraphrase_finds_the_sentence_that_its_words_come_from(note_of: NoteOf) -> None:
    assert found(note_of, "Stopped lisinopril.") == ["Lisinopril was stopped because of the potassium."]


def test_of_equal_sentences_the_cited_one_is_the_evidence(note_of: NoteOf) -> None:
    note = note_of(SOURCE)
    twice = [span for span in note.sentences if note.slice(span) == "Potassium 5.9."]
    cited = note.sentences.index(twice[1]) + 1
    assert align(Source(note), "Potassium 5.9.", words("Potassium 5.9."), (cited,)).evidence == (twice[1],)
    assert align(Source(note), "Potassium 5.9.", words("Potassium 5.9.")).evidence == (twice[0],)


def test_citations_that_do_not_exist_or_share_nothing_are_passed_over(note_of: NoteOf) -> None:
    assert found(note_of, "Stopped lisinopril.", 0, -3, 99, 3) == ["Lisinopril was stopped because of the potassium."]


def test_a_statement_may_rest_on_two_sentences(note_of: NoteOf) -> None:
    evidence = found(note_of, "Lisinopril stopped, follow up with Dr. X.")
    assert set(evidence) == {
        "Lisinopril was stopped because of the potassium.",
        "Follow up with Dr. X in 2 weeks.",
    }


def test_evidence_is_at_most_three_spans_and_joins_neighbours(note_of: NoteOf) -> None:
    source = "VITALS: Pulse 72.\nTemperature 98.6.\nRespirations 16.\nWeight 70 kg.\nSaturation 98%."
    text = "Pulse 72, temperature 98.6, respirations 16, weight 70 kg, saturation 98%."
    (whole,) = found(note_of, text, source=source)
    assert whole == "Pulse 72. Temperature 98.6. Respirations 16. Weight 70 kg. Saturation 98%."


def test_part_of_a_number_or_word_is_no_quotation(note_of: NoteOf) -> None:
    source = Source(note_of("Gave 12.5 mg of metoprolol. No pain-free day."))
    assert source.find("5 mg of metoprolol") is None
    assert source.find("2.5 mg") is None
    assert source.find("no pain") is None
    assert source.find("12.5 mg of metoprolol") is not None


def test_a_sentence_counts_with_the_title_that_it_stands_under(judge: Judge) -> None:
    source = "COMPLICATIONS: 1. None.\nSPECIMENS: 2. None.\nEBL: Minimal, 20 mL."
    assert judge(source, "SPECIMENS: None.").evidence == (source_span(source, "2. None."),)
    assert judge(source, "EBL: 20 mL.").verdict is Verdict.SUPPORTED


def source_span(source: str, text: str) -> tuple[int, int]:
    return source.index(text), source.index(text) + len(text)


def test_what_shares_too_little_with_the_note_has_no_evidence(judge: Judge) -> None:
    judged = judge(SOURCE, "Family history of early glaucoma in two brothers.")
    assert judged.verdict is Verdict.UNSUPPORTED
    assert judged.evidence == ()
    assert [finding.code for finding in judged.findings] == [FindingCode.NO_EVIDENCE]


@given(st.data())
def test_every_sentence_and_every_run_of_words_of_a_note_is_found_in_it(note_of: NoteOf, data: st.DataObject) -> None:
    note = note_of(SOURCE)
    pieces = SOURCE.split()
    start = data.draw(st.integers(0, len(pieces) - 1))
    end = data.draw(st.integers(start + 1, len(pieces)))
    span = Source(note).find(" ".join(pieces[start:end]))
    assert span is not None
    assert " ".join(SOURCE[slice(*span)].split()).lower() == " ".join(pieces[start:end]).lower().rstrip(".")


@given(st.text(max_size=80))
def test_any_statement_is_aligned_without_failing(note_of: NoteOf, text: str) -> None:
    alignment = align(Source(note_of(SOURCE)), text, words(text), (1, 5))
    assert 0 <= alignment.coverage <= 1
    assert all(0 <= start < end <= len(SOURCE) for start, end in alignment.evidence)
    assert len(alignment.evidence) <= 3
