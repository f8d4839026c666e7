from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.review import FindingCode, Verdict

if TYPE_CHECKING:
    from tests.review.conftest import Judge

CLEAN = [
    ("She takes 2 tablets.", "She takes two tablets."),
    ("Platelets 1000 today.", "Platelets 1,000 today."),
    ("Gave ceftriaxone 0.5 g.", "Gave ceftriaxone 500 mg."),
    ("Gave levothyroxine 0.1 mg.", "Gave levothyroxine 100 mcg."),
    ("Weight 70 kg.", "Weight 154 lb."),
    ("Metoprolol 25 mg q12h.", "Metoprolol 25 mg BID."),
    ("Metoprolol 25 mg b.i.d.", "Metoprolol 25mg twice daily."),
    ("Metformin 500 mg two times a day.", "Metformin 500 mg twice a day."),
    ("Warfarin 5 mg qd.", "Warfarin 5 mg once daily."),
    ("Oxycodone every 4 to 6 hours as needed.", "Oxycodone q4-6h as needed."),
    ("67 y/o woman with fever.", "67-year-old woman with fever."),
    ("Follow up in one week.", "Follow up in 1 week."),
    ("Follow up in a week.", "Follow up in 1 week."),
    ("Cough for 14 days.", "Cough for 2 weeks."),
    ("Blood pressure 120/80.", "Blood pressure 120 over 80."),
    ("Systolic 120, diastolic 80.", "Blood pressure 120/80 (systolic, diastolic)."),
    ("Blood pressure 120/80.", "Systolic blood pressure 120."),
    ("Take 1/2 tablet.", "Take half tablet."),
    ("Cough for 3/7, UK style.", "Cough for 3 days, UK style."),
    ("Admitted on 07/21/2008.", "Admitted July 21, 2008."),
    ("Admitted on 7/21.", "Admitted on July 21."),
    ("Seen at 8:30 pm.", "Seen at 20:30."),
    ("Disc disease at L4-5.", "Disc disease at L4-L5."),
    ("Disc disease at L4-L5.", "Disc disease at L4."),
    ("Disc disease at L4 and L5.", "Disc disease at L4-5."),
    ("Pulse 72.", "Pulse 72 bpm."),
    ("Pain for a couple of days.", "Pain for 2 days."),
    ("Lisinopril was increased from 10 mg to 20 mg daily.", "Lisinopril 20 mg daily."),
    ("Lisinopril 20 mg and metoprolol 25 mg.", "Metoprolol 25 mg and lisinopril 20 mg."),
    ("Pulse 72.\nRespirations 16.\nTemperature 98.6.", "Pulse 72, respirations 16, temperature 98.6."),
    ("1. Diabetes mellitus.", "Diabetes mellitus."),
    ("Diabetes mellitus.", "2. Diabetes mellitus."),
    ("Grade II/VI murmur.", "Grade 2/6 murmur."),
    ("Stage III disease.", "Stage 3 disease."),
    ("First degree block.", "1st degree block."),
    ("58F with cough and fever.", "58-year-old woman with cough and fever."),
    ("Norco 5/325 for pain.", "Norco 5-325 for pain."),
    ("Metformin 500 mg twice-daily.", "Metformin 500 mg BID."),
    ("A 3-day history of fever.", "Fever history of three days."),
    ("Oriented x3.", "Oriented times three."),
    ("Mass of 3x4x5 cm.", "Mass of 3 x 4 x 5 cm."),
    ("Temperature 38.0 C.", "Temperature 38 C."),
    ("Insulin 10u nightly.", "Insulin 10 units at bedtime."),
    ("Gave 1.5 L of saline.", "Gave 1500 mL of saline."),
    ("Pain is 7/10.", "Pain is 7 out of 10."),
    ("Ibuprofen every eight hours.", "Ibuprofen TID."),
    ("RV ejection fraction 45% and LV ejection fraction 39%.", "RV ejection fraction 45%."),
    ("Crestor 5 mg daily, TriCor 145 mg daily, Celexa 20 mg daily.", "145 mg daily, Celexa 20 mg daily."),
    ("Endplate of C6 and of C7 drilled with the edge of C6 and the edge of C7.", "C7 drilled with the edge of C6."),
    ("CK was elevated at 653.\nA1c is 7.6%.", "CK was elevated at 653; A1c is 7.6%."),
    ("Amoxicillin 500 mg 3 times a day.", "Amoxicillin 500 mg 3 times."),
    ("Prednisone from 40 mg to 20 mg.", "Prednisone 20 mg."),
    ("Smokes two packs a day.", "Smokes 2 packs per day."),
    ("The COVID-19 test was negative.", "COVID-19 test negative."),
]


@pytest.mark.parametrize(("source", "statement"), CLEAN)
def test_one_value_written_two_ways_is_clean(judge: Judge, source: str, statement: str) -> None:
    judged = judge(source, statement)
    assert judged.findings == ()
    assert judged.verdict is Verdict.SUPPORTED


DIRTY = [
    ("Metoprolol 25 mg daily.", "Metoprolol 250 mg daily.", FindingCode.NUMBER, "250 mg"),
    ("Metoprolol 2.5 mg daily.", "Metoprolol 25 mg daily.", FindingCode.NUMBER, "25 mg"),
    ("Metoprolol 25 mg daily.", "Metoprolol 52 mg daily.", FindingCode.NUMBER, "52 mg"),
    ("Metoprolol 25 mg daily.", "The patient is on metoprolol at 26 mg.", FindingCode.NUMBER, "26 mg"),
    ("Levothyroxine 100 mcg daily.", "Levothyroxine 100 mg daily.", FindingCode.UNIT, "100 mg"),
    ("Insulin 10 units nightly.", "Insulin 10 mg nightly.", FindingCode.UNIT, "10 mg"),
    ("Glucose was 110 mg/dL.", "Glucose was 110 mmol/L.", FindingCode.UNIT, "110 mmol/L"),
    ("Return in 2 weeks.", "Return in 2 months.", FindingCode.UNIT, "2 months"),
    ("Take two tablets.", "Take three tablets.", FindingCode.NUMBER, "three tablets"),
    ("Take one tablet.", "Take two tablets.", FindingCode.NUMBER, "two tablets"),
    ("Blood pressure 120/80.", "Blood pressure 130/80.", FindingCode.NUMBER, "130/80"),
    ("Blood pressure 120/80.", "Blood pressure 80/120.", FindingCode.NUMBER, "80/120"),
    ("A 67-year-old woman.", "A 76-year-old woman.", FindingCode.NUMBER, "76-year-old"),
    ("Lisinopril 20 mg and metoprolol 25 mg.", "Lisinopril 20 mg and metoprolol 20 mg.", FindingCode.NUMBER, "20 mg"),
    ("Lisinopril 20 mg and metoprolol 25 mg.", "Lisinopril 25 mg and metoprolol 25 mg.", FindingCode.NUMBER, "25 mg"),
    ("BP 120/80, P 72, R 16, T 98.6.", "BP 120/80, P 16, R 16, T 98.6.", FindingCode.NUMBER, "16"),
    ("Prednisone 40 mg, 20 mg, 10 mg.", "Prednisone 40 mg, 10 mg, 10 mg.", FindingCode.NUMBER, "10 mg"),
    ("Metoprolol 25 mg BID.", "Metoprolol 25 mg TID.", FindingCode.FREQUENCY, "TID"),
    ("Ibuprofen every 6 hours.", "Ibuprofen every 8 hours.", FindingCode.FREQUENCY, "every 8 hours"),
    (
        "Admitted to the ward on 07/21/2008.",
        "Admitted to the ward on July 22, 2008.",
        FindingCode.DATE,
        "July 22, 2008",
    ),
    ("Disc disease at L4-L5.", "Disc disease at L3-L4.", FindingCode.ANATOMY, "L3-L4"),
    ("Disc disease at L4-5.", "Disc disease at L4-4.", FindingCode.ANATOMY, "L4-4"),
    ("Stage III disease.", "Stage IV disease.", FindingCode.NUMBER, "IV"),
    ("He has two brothers.", "He has one brother.", FindingCode.NUMBER, "one"),
    (
        "Albuterol 2 puffs every 4-6 hours.",
        "Albuterol 2 puffs every 4-7 hours.",
        FindingCode.FREQUENCY,
        "every 4-7 hours",
    ),
    ("Colonoscopy 5-6 years ago.", "Colonoscopy 6-6 years ago.", FindingCode.NUMBER, "6-6 years"),
    (
        "Abdominal pain for 7- to 8-day period.",
        "Abdominal pain for 7- to 9-day period.",
        FindingCode.NUMBER,
        "7- to 9-day",
    ),
    ("Give one or two tablets.", "Give one or three tablets.", FindingCode.NUMBER, "one or three tablets"),
    ("Potassium 5.9 today.", "Potassium was 6.9 today.", FindingCode.NUMBER, "6.9"),
]


@pytest.mark.parametrize(("source", "statement", "code", "written"), DIRTY)
def test_a_changed_value_is_found_where_it_stands(
    judge: Judge, source: str, statement: str, code: FindingCode, written: str
) -> None:
    judged = judge(source, statement)
    assert judged.verdict is Verdict.CONTRADICTED
    found = [finding for finding in judged.findings if finding.code is code]
    assert [statement[slice(*finding.draft_span)] for finding in found if finding.draft_span] == [written]


def test_two_values_that_changed_places_are_both_found(judge: Judge) -> None:
    judged = judge("A1c of 7.2 in May, of 8.1 in June.", "A1c of 8.1 in May, of 7.2 in June.")
    assert [finding.draft_span for finding in judged.findings] == [(7, 10), (22, 25)]


def test_a_number_of_nothing_in_the_note_is_unsupported(judge: Judge) -> None:
    judged = judge("Fever and cough were noted.", "Fever of 39 and cough were noted.")
    assert judged.verdict is Verdict.UNSUPPORTED
    assert [(finding.code, finding.source_span) for finding in judged.findings] == [(FindingCode.NUMBER, None)]


def test_a_number_from_another_place_of_the_note_does_not_support(judge: Judge) -> None:
    source = (
        "Continue lisinopril 10 mg daily.\nStart atorvastatin 20 mg daily.\nPain for 3 weeks.\nFollow up in 2 weeks."
    )
    assert judge(source, "Continue lisinopril 20 mg daily.").verdict is Verdict.CONTRADICTED
    assert judge(source, "Follow up in 3 weeks.").verdict is Verdict.CONTRADICTED


def test_of_two_lines_that_differ_in_a_number_alone_each_supports_its_own(judge: Judge) -> None:
    source = "Discectomy, C5-C6.\nDiscectomy, C6-C7.\nFluency score 18 items, poor.\nFluency score 23 items."
    assert judge(source, "Discectomy at C6-C7.").findings == ()
    assert judge(source, "Fluency score of 23 items.").findings == ()
    assert judge(source, "Discectomy at C3-C4.").verdict is Verdict.CONTRADICTED


def test_the_finding_points_at_the_conflicting_words_of_the_source(judge: Judge) -> None:
    source = "No fever.\nContinue lisinopril 10 mg daily."
    finding = judge(source, "Continue lisinopril 20 mg daily.").findings[0]
    assert finding.source_span is not None
    assert source[slice(*finding.source_span)] == "10 mg"
    assert finding.message == "The note says 10 mg here, the draft says 20 mg."


@given(st.integers(2, 9999), st.integers(2, 9999))
def test_two_different_doses_never_pass_for_one(judge: Judge, noted: int, drafted: int) -> None:
    judged = judge(
        f"Fever.\nShe takes furosemide {noted} mg with breakfast.", f"She takes furosemide {drafted} mg with breakfast."
    )
    assert (judged.verdict is Verdict.SUPPORTED) == (noted == drafted)
