"""What is filed: shape, labels, stable identifiers, and never anything but a draft."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given
from hypothesis import strategies as st

from sidecar.chart.draft import (
    DraftDocument,
    build_device,
    build_document,
    build_provenance,
    draft_id_of,
    text_digest,
)
from sidecar.chart.profile import profile_of, settle_profile
from sidecar.chart.source import parse_source
from sidecar.drafting.engine import EngineIdentity
from sidecar.drafting.task import TaskKind
from sidecar.errors import ConfigError
from sidecar.mappings import Mappings
from tests.support.notes import document

MAPPINGS = Mappings.load()
ENGINE = EngineIdentity("extractive", "1", "ab" * 32, invents=False)
PROFILE = profile_of(MAPPINGS.profile("demo"))
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)


def draft(text: str = "AI DRAFT\n", **source: Any) -> DraftDocument:
    note = parse_source(document(**source))
    task = MAPPINGS.tasks[TaskKind.SUMMARY]
    return DraftDocument("0b0c", task, note, note.encounter, text, ENGINE, NOW)


def test_size_and_hash_are_those_of_the_text() -> None:
    text = "AI DRAFT - 38.5 °C\n"
    (content,) = build_document(draft(text), PROFILE, None)["content"]
    data = base64.b64decode(content["attachment"]["data"])
    assert data.decode() == text
    assert content["attachment"]["size"] == len(data)
    assert base64.b64decode(content["attachment"]["hash"]) == hashlib.sha1(data, usedforsecurity=False).digest()


def test_identifier_type_category_and_source_stand_in_the_document() -> None:
    resource = build_document(draft(), PROFILE, "Device/7")
    assert resource["identifier"] == [{"system": "urn:ehr-draft-sidecar:draft", "value": "0b0c"}]
    assert resource["author"] == [{"reference": "Device/7", "display": "AI drafting engine extractive"}]
    assert resource["context"]["related"] == [{"reference": "DocumentReference/d1"}]
    assert resource["type"]["coding"][0]["system"] == "http://loinc.org"
    assert "authenticator" not in resource


def test_a_profile_leaves_out_what_its_server_does_not_keep() -> None:
    bare = replace(PROFILE, author="omit", encounter="omit", security_labels=False)
    resource = build_document(draft(), bare, "Device/7")
    assert "author" not in resource
    assert "meta" not in resource
    assert "encounter" not in resource["context"]


def test_all_three_resources_are_valid_fhir_together() -> None:
    resources = [
        build_device(ENGINE),
        build_document(draft(), PROFILE, "Device/1"),
        build_provenance(draft(), "DocumentReference/9", "1", "Device/1"),
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": item} for item in resources]}
    assert len(Bundle.model_validate(bundle).entry) == 3
    assert resources[2]["entity"][0]["what"]["reference"] == "DocumentReference/d1/_history/1"


statuses = st.sampled_from(["final", "amended", "preliminary", "entered-in-error", None])


@given(
    doc_status=statuses,
    status=st.sampled_from(["current", "superseded", "entered-in-error"]),
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50),
    authenticator=st.booleans(),
)
def test_never_final_whatever_the_source_says(
    doc_status: str | None, status: str, text: str, authenticator: bool
) -> None:
    extra = {"authenticator": {"reference": "Practitioner/1"}} if authenticator else {}
    made = build_document(draft(text, docStatus=doc_status, status=status, **extra), PROFILE, None)
    assert (made["status"], made["docStatus"]) == ("current", "preliminary")
    assert not {"authenticator", "attester"} & set(made)


@given(st.lists(st.text(min_size=1, max_size=6), min_size=4, max_size=4))
def test_identifiers_are_the_same_on_every_host_and_differ_by_every_part(parts: list[str]) -> None:
    one = draft_id_of(*parts)
    assert one == draft_id_of(*parts)
    for index in range(4):
        assert one != draft_id_of(*[part + "x" * (number == index) for number, part in enumerate(parts)])


def test_the_text_digest_ignores_what_servers_rewrite_and_sees_what_people_do() -> None:
    def digest(text: str) -> str | None:
        data = base64.b64encode(text.encode()).decode()
        return text_digest({"content": [{"attachment": {"data": data}}]})

    assert digest("a\nb\n") == digest("a \r\nb")
    assert digest("5.9") != digest("59")
    assert text_digest({"content": [{"attachment": {"url": "Binary/1"}}]}) is None
    assert text_digest({"content": []}) is None


def capabilities(*codes: str, **more: Any) -> dict[str, Any]:
    resource = {"type": "DocumentReference", "interaction": [{"code": code} for code in codes], **more}
    return {"resourceType": "CapabilityStatement", "rest": [{"resource": [resource]}]}


def test_what_a_profile_leaves_to_the_server_is_taken_from_its_capability_statement() -> None:
    generic = profile_of(MAPPINGS.profile("generic-r4"))
    assert settle_profile(generic, capabilities("read", "create")).conditional_create == "never"
    declared = capabilities("read", "create", conditionalCreate=True)
    assert settle_profile(generic, declared).conditional_create == "always"
    assert settle_profile(generic, declared).provenance == "never"


@pytest.mark.parametrize(
    ("codes", "versioning", "replace"),
    [
        (("read", "create", "update"), "versioned", "put"),
        (("read", "create", "update"), "versioned-update", "put"),
        (("read", "create", "update"), "no-version", "none"),
        (("read", "create", "update"), None, "none"),
        (("read", "create"), "versioned", "none"),
    ],
)
def test_drafts_are_replaced_only_where_the_server_keeps_versions(
    codes: tuple[str, ...], versioning: str | None, replace: str
) -> None:
    generic = profile_of(MAPPINGS.profile("generic-r4"))
    assert settle_profile(generic, capabilities(*codes, versioning=versioning)).replace == replace


def test_a_server_that_cannot_take_a_draft_is_refused_at_start() -> None:
    with pytest.raises(ConfigError, match="no DocumentReference create"):
        settle_profile(PROFILE, capabilities("read"))
    with pytest.raises(ConfigError, match="cannot hold an unsigned draft"):
        profile_of({**MAPPINGS.profile("demo"), "holds_drafts": False})
