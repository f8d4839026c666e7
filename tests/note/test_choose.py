from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from sidecar.errors import ParkEvent, SkipEvent
from sidecar.note import attachments, choose, decode_base64, rank, read_attachment
from sidecar.outcomes import ParkReason, SkipReason


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def document(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "DocumentReference", "content": [{"attachment": entry} for entry in entries]}


def inline(media_type: str | None, data: bytes, **more: Any) -> dict[str, Any]:
    return {"contentType": media_type, "data": b64(data), **more}


def read(*entries: dict[str, Any]) -> str:
    return read_attachment(choose(attachments(document(*entries)))).text


PLAIN = inline("text/plain", b"Plain note.")
HTML = inline("text/html", b"<html><body><p>HTML note.</p></body></html>")
RTF = inline("application/rtf", b"{\\rtf1 RTF note.}")
PDF = inline("application/pdf", b"%PDF-1.7\n...")
CDA = inline("application/xml", b"<?xml version='1.0'?><ClinicalDocument xmlns='urn:hl7-org:v3'/>")


def test_plain_text_is_read_before_html_before_cda_before_rtf_before_pdf() -> None:
    ranked = rank(attachments(document(PDF, RTF, CDA, HTML, PLAIN)))
    assert [item.media_type for item in ranked] == [
        "text/plain",
        "text/html",
        "application/xml",
        "application/rtf",
        "application/pdf",
    ]


def test_renderings_are_never_concatenated() -> None:
    assert read(HTML, PLAIN) == "Plain note."


def test_two_renderings_of_one_kind_keep_the_order_of_the_resource() -> None:
    assert read(inline("text/plain", b"First."), inline("text/plain", b"Second.")) == "First."


@pytest.mark.parametrize(
    "label", ["TEXT/PLAIN", "text/plain;charset=UTF-8", " Text/Plain ; charset=utf-8", "ASCII Text", "text", None]
)
def test_labels_of_plain_text_in_the_wild_are_understood(label: str | None) -> None:
    assert read(inline("application/pdf", b"%PDF-1.4"), inline(label, b"A note.")) == "A note."


def test_the_bytes_outrank_a_wrong_label() -> None:
    mislabelled = inline("text/plain", b"%PDF-1.7\n...")
    assert read(mislabelled, HTML) == "HTML note."


def test_an_attachment_without_bytes_is_passed_over_when_another_has_them() -> None:
    assert read({"contentType": "text/plain"}, {"contentType": "text/plain", "data": ""}, HTML) == "HTML note."


def test_a_blank_rendering_is_passed_over_when_another_has_words() -> None:
    assert read(inline("text/plain", b" \n "), HTML) == "HTML note."


def test_a_rendering_with_broken_base64_is_passed_over_when_another_is_whole() -> None:
    assert read({"contentType": "text/plain", "data": "!!!!"}, HTML) == "HTML note."


def test_a_link_is_offered_with_its_label() -> None:
    chosen = choose(attachments(document({"contentType": "text/plain", "url": "Binary/1"}, HTML)))
    assert (chosen.url, chosen.data) == ("Binary/1", None)


def test_bytes_fetched_from_a_link_are_read_by_the_label_of_the_link() -> None:
    chosen = choose(attachments(document({"contentType": "text/html", "url": "Binary/1"})))
    assert read_attachment(chosen, b"<p>Linked</p>").text.strip() == "Linked"


def test_diagnostic_report_offers_its_presented_form() -> None:
    report = {"resourceType": "DiagnosticReport", "presentedForm": [PLAIN]}
    assert [item.data for item in attachments(report)] == [b"Plain note."]


@pytest.mark.parametrize(
    "content", [None, [], {}, "text", [None], [{}], [{"attachment": None}], [{"attachment": {"contentType": 7}}]]
)
def test_resource_without_usable_content_parks_as_no_content(content: object) -> None:
    with pytest.raises(ParkEvent) as caught:
        choose(attachments({"content": content}))
    assert caught.value.reason is ParkReason.NO_CONTENT


def test_only_blank_bytes_skip_as_no_text() -> None:
    with pytest.raises(SkipEvent) as caught:
        read(inline("text/plain", b"  \r\n \t "))
    assert caught.value.reason is SkipReason.NO_TEXT


def test_base64_may_be_broken_into_lines() -> None:
    assert decode_base64("QSBu\r\nb3Rl\n Lg==") == b"A note."


@pytest.mark.parametrize(
    ("value", "detail"),
    [("A_-A", "base64-urlsafe"), ("QQ", "base64"), ("QQ=", "base64"), ("@@@@", "base64"), ("QQ==QQ==", "base64")],
)
def test_base64_garbage_parks_with_its_reason(value: str, detail: str) -> None:
    with pytest.raises(ParkEvent) as caught:
        choose(attachments(document({"data": value})))
    assert (caught.value.reason, caught.value.detail) == (ParkReason.NO_CONTENT, detail)


def test_data_over_the_limit_parks_with_both_numbers() -> None:
    with pytest.raises(ParkEvent) as caught:
        choose(attachments(document(inline("text/plain", b"x" * 4000)), limit=1000))
    assert (caught.value.reason, caught.value.detail) == (ParkReason.NO_CONTENT, "bytes=4000 limit=1000")


def test_fetched_bytes_over_the_limit_park() -> None:
    linked = choose(attachments(document({"url": "Binary/1"})))
    with pytest.raises(ParkEvent, match="no-content"):
        read_attachment(linked, b"x" * 1001, limit=1000)


def test_twenty_megabytes_park_as_no_content() -> None:
    with pytest.raises(ParkEvent, match="no-content"):
        choose(attachments(document(inline("text/plain", b"x" * 20_971_520))))


SHA1 = b64(hashlib.sha1(b"A note.", usedforsecurity=False).digest())


@pytest.mark.parametrize("claims", [{"size": 7}, {"size": "7"}, {"hash": SHA1}, {"size": 7, "hash": SHA1}, {}])
def test_true_size_and_hash_are_accepted(claims: dict[str, Any]) -> None:
    assert read(inline("text/plain", b"A note.", **claims)) == "A note."


@pytest.mark.parametrize("claims", [{"size": 8}, {"size": 0}, {"hash": b64(b"0" * 20)}, {"hash": "none"}])
def test_a_claim_that_disagrees_with_the_bytes_parks_as_content_mismatch(claims: dict[str, Any]) -> None:
    with pytest.raises(ParkEvent) as caught:
        read(inline("text/plain", b"A note.", **claims))
    assert caught.value.reason is ParkReason.CONTENT_MISMATCH


@pytest.mark.parametrize("entry", [RTF, PDF, CDA])
def test_formats_without_extractor_park_by_name(entry: dict[str, Any]) -> None:
    with pytest.raises(ParkEvent) as caught:
        read(entry)
    assert caught.value.reason is ParkReason.FORMAT_NOT_YET
    assert caught.value.detail.startswith("application/")


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"II*\x00....", "image/tiff"),
        (b"PK\x03\x04....", "application/zip"),
        (bytes(range(1, 9)) * 50, "application/octet-stream"),
    ],
)
def test_bytes_that_are_no_text_are_refused_whatever_the_label(data: bytes, detail: str) -> None:
    with pytest.raises(ParkEvent) as caught:
        read(inline("text/plain", data))
    assert (caught.value.reason, caught.value.detail) == (ParkReason.FORMAT_NOT_YET, detail)
