from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import SkipEvent
from sidecar.note import extract_bytes
from sidecar.note.html import HIDDEN, STRUCK, html_to_text


def lines(markup: str) -> list[str]:
    return [line.strip() for line in html_to_text(markup)[0].splitlines() if line.strip()]


@pytest.mark.parametrize(
    "struck",
    [
        "<s>metoprolol</s>",
        "<strike>metoprolol</strike>",
        "<del>metoprolol</del>",
        "<span style='text-decoration:line-through'>metoprolol</span>",
        "<span style='color:red; TEXT-DECORATION : underline Line-Through;'>metoprolol</span>",
        "<span style='text-decoration-line: line-through'>metoprolol</span>",
        "<s><b>meto<i>prolol</i></b></s>",
    ],
)
def test_struck_text_never_comes_out_as_current_and_is_reported(struck: str) -> None:
    text, warnings = html_to_text(f"<p>Continue aspirin. {struck} Stop.</p>")
    assert "prolol" not in text
    assert text.split() == ["Continue", "aspirin.", "Stop."]
    assert warnings == (STRUCK,)


@pytest.mark.parametrize(
    "hidden",
    [
        "<div hidden>secret</div>",
        "<div style='display:none'>secret</div>",
        "<div style='display : NONE !important'>secret</div>",
        "<div style='visibility:hidden'>secret</div>",
        "<span style='mso-hide:all'>secret</span>",
        "<span style='font-size:0'>secret</span>",
        "<span style='font-size:0px;color:red'>secret</span>",
        "<span style='opacity:0'>secret</span>",
        "<template>secret</template>",
    ],
)
def test_hidden_text_never_comes_out_and_is_reported(hidden: str) -> None:
    text, warnings = html_to_text(f"<p>Seen.</p>{hidden}<p>Also seen.</p>")
    assert "secret" not in text
    assert warnings == (HIDDEN,) or (warnings == () and "template" in hidden)


@pytest.mark.parametrize("style", ["font-size:0.8em", "opacity:0.5", "display:block", "text-decoration:underline"])
def test_text_that_is_only_small_or_underlined_stays(style: str) -> None:
    assert html_to_text(f"<p style='{style}'>Seen.</p>") == ("Seen.", ())


def test_classes_of_the_page_that_strike_or_hide_are_honoured() -> None:
    style = (
        "<style>.old, p .x{text-decoration:line-through} /* } */ .gone{display:none} "
        "@media print{.now{display:none}}</style>"
    )
    text, warnings = html_to_text(
        f"{style}<p>Take <span class=old>heparin</span> <b class=now>warfarin</b></p><p class=gone>x</p>"
    )
    assert text.split() == ["Take", "warfarin"]
    assert warnings == (STRUCK, HIDDEN)


def test_an_empty_hidden_element_is_no_reason_to_warn() -> None:
    assert html_to_text("<p>Seen.<span hidden></span></p>") == ("Seen.", ())


def test_scripts_styles_comments_and_head_never_come_out() -> None:
    page = (
        "<html><head><title>T</title><style>b{}</style></head><body><!-- c --><script>s()</script>"
        "<p>Seen.</p><noscript>n</noscript><script>alert('</p>')</script></body></html>"
    )
    assert html_to_text(page)[0] == "Seen."


def test_an_injected_script_gives_no_markup() -> None:
    text, _ = html_to_text("<p>A&lt;script&gt;alert(1)&lt;/script&gt;<img src=x onerror=alert(1)>B</p>")
    assert text == "A<script>alert(1)</script>B"


def test_a_table_row_is_one_line_so_that_a_dose_stays_with_its_drug() -> None:
    table = (
        "<table><thead><tr><th>Drug</th><th>Dose</th></tr></thead><tbody>"
        "<tr><td><p>aspirin</p></td><td>81 mg<br>daily</td></tr>"
        "<tr><td><div>warfarin</div></td><td><span>5</span> <span>mg</span></td></tr></tbody></table>"
    )
    assert lines(table) == ["Drug | Dose", "aspirin | 81 mg; daily", "warfarin | 5 mg"]


def test_rows_tied_by_a_rowspan_share_a_line() -> None:
    table = (
        "<table><tr><td rowspan=2>metoprolol</td><td>25 mg</td><td>morning</td></tr>"
        "<tr><td>50 mg</td><td>evening</td></tr><tr><td>aspirin</td><td>81 mg</td><td>noon</td></tr></table>"
    )
    assert lines(table) == ["metoprolol | 25 mg | morning ; 50 mg | evening", "aspirin | 81 mg | noon"]


def test_cells_that_stack_several_rows_are_read_across() -> None:
    table = "<table><tr><td>aspirin<br>simvastatin</td><td>81 mg<br>20 mg</td></tr></table>"
    assert lines(table) == ["aspirin | 81 mg", "simvastatin | 20 mg"]


def test_an_empty_cell_keeps_the_columns_apart() -> None:
    assert lines("<table><tr><td>K</td><td></td><td>4.1</td></tr></table>") == ["K | | 4.1"]


def test_a_layout_table_keeps_the_paragraphs_of_the_note() -> None:
    page = "<table><tr><td><p>One.</p><p>Two.</p><table><tr><td>K</td><td>4.1</td></tr></table></td></tr></table>"
    assert lines(page) == ["One.", "Two.", "K | 4.1"]


def test_a_column_of_prose_keeps_its_paragraphs() -> None:
    prose = "<p>" + "Long story. " * 40 + "</p><p>End.</p>"
    assert lines(f"<table><tr><td>HPI</td><td>{prose}</td></tr></table>")[0] == "HPI"


def test_lists_keep_their_markers_and_numbers() -> None:
    page = (
        "<ul><li>one<ul><li>inner</li></ul></li></ul><ol><li>a</li><li>b</li></ol><ol start=3><li>c</li><li>d</li></ol>"
    )
    assert lines(page) == ["• one", "• inner", "1. a", "2. b", "3. c", "4. d"]


def test_a_form_shows_its_values_and_boxes() -> None:
    form = (
        "<p>BP <input value='120/80'> <input type=hidden value=x><input type=checkbox checked>smoker "
        "<input type=radio>drinker <select><option>left<option selected>right</select>"
        "<textarea>free text</textarea></p>"
    )
    assert html_to_text(form)[0].split() == [
        "BP",
        "120/80",
        "[x]",
        "smoker",
        "[",
        "]",
        "drinker",
        "right",
        "free",
        "text",
    ]


def test_exponents_are_marked() -> None:
    assert html_to_text("<p>8.2 x 10<sup>3</sup>/uL, 1<sup>st</sup></p>")[0] == "8.2 x 10^3/uL, 1st"


def test_entities_are_decoded_once() -> None:
    assert html_to_text("<p>BP &lt;90 &amp;amp; K&nbsp;&gt;&#53;</p>")[0].replace("\xa0", " ") == "BP <90 &amp; K >5"


def test_preformatted_text_keeps_its_columns() -> None:
    assert lines("<pre>Na   138\nK    4.1</pre>") == ["Na   138", "K    4.1"]


def test_self_closed_elements_of_xhtml_do_not_swallow_the_note() -> None:
    page = b'<div xmlns="http://www.w3.org/1999/xhtml"><s/><title/>Take <b/>aspirin<br/>daily</div>'
    note = extract_bytes(page, None)
    assert note.text.split() == ["Take", "aspirin", "daily"]
    assert note.media_type == "application/xhtml+xml"


def test_a_label_of_html_is_believed_for_a_fragment_without_tags() -> None:
    assert extract_bytes(b"BP &lt; 90", "text/html").text == "BP < 90"


def test_a_page_labelled_plain_text_is_read_as_html_with_a_warning() -> None:
    note = extract_bytes(b"<!DOCTYPE html><html><body>Seen.</body></html>", "text/plain")
    assert (note.text, note.media_type, note.warnings) == ("Seen.", "text/html", ("media-type-mismatch",))


def test_a_page_without_words_is_no_text() -> None:
    with pytest.raises(SkipEvent, match="no-text"):
        extract_bytes(b"<html><body><img src='scan.png'><p>&nbsp;</p></body></html>", "text/html")


@pytest.mark.parametrize(
    "markup",
    [
        "<p>" + "word " * 500_000,
        "<div>" * 100_000 + "x",
        "<table><tr><td>" * 10_000 + "x",
        "<s>" * 100_000 + "x",
        "<sup>3" * 100_000,
        "<div hidden>" * 100_000,
        "<table>" + "<tr><td rowspan=2>x<td>y" * 20_000,
        "<p style='" + "text-decoration:" * 100_000 + "'>x",
        "<style>" + "@" * 500_000 + "</style>x",
        "<style>" + "/*" * 500_000 + "</style>x",
        "<pre>" + " " * 500_000 + "x",
        "<!--" * 100_000,
        "&lt;" * 500_000,
    ],
    ids=lambda markup: markup[:12],
)
def test_hostile_markup_ends_well_within_the_time_of_a_test(markup: str) -> None:
    text, _ = html_to_text(markup)
    assert len(text) <= len(markup) + 10


_TAGS = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<s>",
        "</s>",
        "<table>",
        "<tr>",
        "<td>",
        "</td>",
        "</table>",
        "<li>",
        "<ol start=2>",
        "<sup>2</sup>",
    ]
)


@given(st.lists(st.one_of(_TAGS, st.text(max_size=8)), max_size=30))
def test_any_markup_gives_text_without_failing(parts: list[str]) -> None:
    text, _ = html_to_text("".join(parts))
    assert "\x00" not in text


@given(st.text(alphabet="abc ", min_size=1, max_size=30))
def test_words_outside_struck_elements_all_come_out(words: str) -> None:
    text, _ = html_to_text(f"<p>{words}<del>zzz</del></p>")
    assert text.split() == words.split()
