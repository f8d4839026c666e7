from __future__ import annotations

import pytest

from sidecar.references import FHIR_ID, parse_reference, relative_reference


@pytest.mark.parametrize("name", [".", "..", "", "a/b", "a b", "x" * 65, "a\n"])
def test_what_would_change_the_path_of_a_request_is_no_id(name: str) -> None:
    assert FHIR_ID.fullmatch(name) is None
    assert parse_reference(f"Patient/{name}") is None
    assert parse_reference(f"http://e/fhir/Patient/{name}/_history/1") is None
    assert relative_reference(f"Patient/{name}/", "Patient") is None


@pytest.mark.parametrize("version", [".", ".."])
def test_nor_is_it_a_version(version: str) -> None:
    assert parse_reference(f"Patient/1/_history/{version}") is None


@pytest.mark.parametrize("name", ["...", ".a", "a.", "..a", "1.2.840", "-", "x" * 64])
def test_dots_inside_an_id_are_as_good_as_letters(name: str) -> None:
    assert FHIR_ID.fullmatch(name)
    assert parse_reference(f"http://e/fhir/Patient/{name}/_history/{name}") == ("Patient", name, name)
