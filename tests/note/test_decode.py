from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.note import extract_bytes
from sidecar.note.decode import decode

TEXT = "Température 38,5 °C; 5 µg \u2013 naïve"


@pytest.mark.parametrize(
    ("data", "declared", "charset"),
    [
        (TEXT.encode(), (), "utf-8"),
        (TEXT.encode(), ("utf-8",), "utf-8"),
        (codecs.BOM_UTF8 + TEXT.encode(), ("iso-8859-1",), "utf-8"),
        (TEXT.encode("cp1252"), (), "windows-1252"),
        (TEXT.encode("cp1252"), ("iso-8859-1",), "windows-1252"),
        (TEXT.encode("cp1252"), ("windows-1252",), "windows-1252"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), (), "utf-16le"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), ("utf-8",), "utf-16be"),
        (TEXT.encode("utf-16-le"), (), "utf-16le"),
        (TEXT.encode("utf-16-be"), ("utf-16",), "utf-16be"),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), (), "utf-32le"),
    ],
)
def test_each_charset_gives_the_same_text_and_its_name(data: bytes, declared: tuple[str, ...], charset: str) -> None:
    decoded = decode(data, declared)
    assert (decoded.text, decoded.charset, decoded.warnings) == (TEXT, charset, ())


@pytest.mark.parametrize("name", ["utf-8", "us-ascii", "utf-16", "no-such-charset", "rot13", "zip", "idna"])
def test_a_charset_that_the_bytes_refute_is_ignored_with_a_warning(name: str) -> None:
    decoded = decode(TEXT.encode("cp1252"), (name,))
    assert (decoded.text, decoded.charset, decoded.warnings) == (TEXT, "windows-1252", ("charset-mismatch",))


def test_the_second_declared_charset_is_tried_when_the_first_does_not_fit() -> None:
    decoded = decode("Grün".encode("cp1252"), ("utf-8", "iso-8859-15"))
    assert (decoded.text, decoded.charset) == ("Grün", "iso-8859-15")


def test_mojibake_is_reported_and_not_repaired() -> None:
    twice = TEXT.encode().decode("cp1252").encode()
    decoded = decode(twice)
    assert "mojibake" in decoded.warnings
    assert "TempÃ©rature" in decoded.text


def test_accented_text_is_no_mojibake() -> None:
    assert decode("À la fièvre, État: Â, Ã. “Quoted” \u2013 dash… 5 °C ±2 «non»".encode()).warnings == ()


def test_bytes_that_no_charset_defines_become_replacement_characters_with_a_warning() -> None:
    decoded = decode(b"caf\xe9 \x81")
    assert (decoded.text, decoded.warnings) == ("café \ufffd", ("undecodable-bytes",))


def test_line_ends_become_newlines() -> None:
    assert decode("a\r\nb\rc\x0bd\x0ce\u2028f\u0085g".encode()).text == "a\nb\nc\nd\ne\nf\ng"


def test_control_characters_go_with_a_warning_and_tabs_stay() -> None:
    decoded = decode(b"BP\t120\x00/80\x1b mmHg")
    assert (decoded.text, decoded.warnings) == ("BP\t120/80 mmHg", ("control-characters-removed",))


def test_the_charset_of_the_label_reaches_the_note() -> None:
    note = extract_bytes("Größe 180 cm".encode("cp1252"), "text/plain; charset=ISO-8859-1")
    assert (note.text, note.charset) == ("Größe 180 cm", "windows-1252")


def test_an_html_page_names_its_own_charset() -> None:
    page = '<html><head><meta charset="iso-8859-15"></head><body>10 €</body></html>'.encode("iso-8859-15")
    note = extract_bytes(page, "text/html")
    assert (note.text.strip(), note.charset) == ("10 €", "iso-8859-15")


def test_html_in_utf_16_is_recognised() -> None:
    note = extract_bytes("<html><body>Größe</body></html>".encode("utf-16"), None)
    assert (note.text.strip(), note.media_type) == ("Größe", "text/html")


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "latin1", "shift_jis", "utf-7", "x", ""]))
def test_any_bytes_decode_to_text_without_control_characters(data: bytes, declared: str) -> None:
    text = decode(data, (declared,)).text
    assert not any(ord(character) < 32 and character not in "\n\t" for character in text)
    text.encode()
