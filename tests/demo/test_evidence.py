from __future__ import annotations

import textwrap

from hypothesis import given
from hypothesis import strategies as st

from sidecar.demo.evidence import CUT, HEADING, Evidence, find_evidence, read_quotes
from sidecar.demo.unwrap import unwrap

SOURCE = """\
HISTORY: Three days of fever
and cough. No rash.

PLAN: Stop lisinopril because potassium was 5.9 mmol/L, recheck it
on Friday. No rash. Return if worse
"""


def found(evidence: str, source: str = SOURCE) -> list[str]:
    items = find_evidence(f"AI DRAFT\n\n{HEADING}\n{evidence}\nengine 1, recipe 2, draft 3\n", source)
    return [source[item.start : item.end] for item in items]


def test_a_quote_is_found_across_the_line_breaks_of_the_note() -> None:
    assert found('[1] HISTORY: "Three days of fever and cough."') == ["Three days of fever\nand cough."]


def test_a_quote_that_is_wrapped_in_the_draft_is_one_quote() -> None:
    text = '[1] PLAN: "Stop lisinopril because\n    potassium was 5.9 mmol/L,\n    recheck it on Friday."'
    assert found(text) == ["Stop lisinopril because potassium was 5.9 mmol/L, recheck it\non Friday."]


def test_a_cut_quote_is_followed_to_the_end_of_its_sentence() -> None:
    assert found('[1] PLAN: "Stop lisinopril because potassium was 5.9 ..."') == [
        "Stop lisinopril because potassium was 5.9 mmol/L, recheck it\non Friday."
    ]


def test_a_cut_quote_without_a_full_stop_ends_with_its_paragraph() -> None:
    assert found('[1] PLAN: "Return if ..."') == ["Return if worse"]
    assert found('[1] A: "one two ..."', "one two three\n\nfour") == ["one two three"]


def test_a_sentence_that_stands_twice_is_the_one_below_its_heading() -> None:
    first, second = (
        find_evidence(f'x\n{HEADING}\n[1] {title}: "No rash."\n', SOURCE)[0] for title in ("HISTORY", "PLAN")
    )
    assert first.start == SOURCE.index("No rash.")
    assert second.start == SOURCE.rindex("No rash.")


def test_an_unknown_heading_does_not_hide_the_sentence() -> None:
    assert found('[1] Assessment: "No rash."') == ["No rash."]
    assert found('[1] "No rash."') == ["No rash."]


def test_quotation_marks_inside_a_quote_belong_to_it() -> None:
    source = 'HPI: She said: "it hurts" and left.'
    assert found('[1] HPI: "She said: "it hurts" and left."', source) == ['She said: "it hurts" and left.']


def test_what_the_note_does_not_say_has_no_place() -> None:
    assert found('[1] PLAN: "Start warfarin."\n[2] PLAN: "No rash."') == ["No rash."]
    assert found('[1] PLAN: ""') == []


def test_a_draft_without_the_list_has_no_evidence() -> None:
    assert find_evidence('[1] PLAN: "No rash."', SOURCE) == []


def test_the_list_ends_at_the_last_line_of_the_draft() -> None:
    quotes = read_quotes(f'x\n{HEADING}\n[1] PLAN: "No rash."\nengine 1\n[2] PLAN: "No rash."\n')
    assert [quote.number for quote in quotes] == [1]


def test_offsets_count_code_points() -> None:
    (item,) = find_evidence(f'x\n{HEADING}\n[3] HPI: "Temp 38\u00b0."\n', "HPI: \U0001f321 Temp 38\u00b0. Better.")
    assert item == Evidence(3, 7, 16)


WORDS = st.lists(
    st.sampled_from(["fever", "5.9", "mg/dL", "K+", "left", "Na", "\u00b5g", "q.d."]), min_size=4, max_size=40
)


@given(words=WORDS, width=st.integers(10, 78), kept=st.integers(3, 40))
def test_any_sentence_is_found_however_note_and_draft_are_wrapped(words: list[str], width: int, kept: int) -> None:
    sentence = " ".join(["Unique", *words])
    source = "Before it.\n\n" + textwrap.fill(sentence, width) + "\n\nAfter it."
    cut = kept < len(words)
    quote = " ".join(["Unique", *words[:kept]]) + (CUT if cut else "")
    entry = textwrap.fill(f'[12] Section: "{quote}"', 72, subsequent_indent="     ", break_on_hyphens=False)
    (item,) = find_evidence(f"x\n{HEADING}\n{entry}\nend", source)
    shown = " ".join(source[item.start : item.end].split())
    assert sentence.startswith(shown)
    assert shown.startswith(quote.removesuffix(CUT))


def test_hard_wrapped_paragraphs_flow_and_structure_stays() -> None:
    note = (
        "HISTORY: The patient was seen in the clinic with\n"
        "three days of fever and a cough that kept her up\n"
        "\n"
        "PLAN:\n"
        "1. Stop lisinopril because of the potassium of 5\n"
        "mmol/L today.\n"
        "2. Recheck.\n"
    )
    assert unwrap(note).split("\n") == [
        "HISTORY: The patient was seen in the clinic with three days of fever and a cough that kept her up",
        "",
        "PLAN:",
        "1. Stop lisinopril because of the potassium of 5 mmol/L today.",
        "2. Recheck.",
        "",
    ]


@given(st.text("ab1 .:\n-", max_size=300))
def test_unwrapping_changes_line_breaks_only(text: str) -> None:
    shown = unwrap(text)
    assert len(shown) == len(text)
    assert all(after == before or (before, after) == ("\n", " ") for before, after in zip(text, shown, strict=True))
