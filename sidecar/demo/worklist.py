"""What the inbox shows: drafts by patient, one draft beside its source, and a clinician's decision."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sidecar.demo import signing
from sidecar.demo.evidence import find_evidence
from sidecar.demo.outcome import FhirError, refuse
from sidecar.demo.search import Search, parse_search
from sidecar.demo.unwrap import unwrap
from sidecar.note.decode import decode
from sidecar.note.html import charset_of, html_to_text
from sidecar.note.media import HTML, TEXT, XHTML, parse_media_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sidecar.demo.store import Store, Version

AI_LABEL = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue|AIAST"
LISTED = 200


@dataclass(frozen=True, slots=True)
class Worklist:
    """Reads the store; every call is a few short transactions, to be made off the event loop."""

    store: Store

    def drafts(self) -> list[dict[str, Any]]:
        """Return the newest AI drafts, signed and discarded ones included."""
        found = parse_search("DocumentReference", "", [("_security", AI_LABEL)])
        page = self.store.search("DocumentReference", Search(found.conditions, descending=True, count=LISTED))
        return [self._item(version) for version in page.versions]

    def view(self, draft_id: str) -> dict[str, Any]:
        """Return one draft with its text, its patient, its source and where its evidence stands in that."""
        draft = self.store.read("DocumentReference", draft_id)
        source = self._source(draft)
        text = self._text(draft) or ""
        source_text = None if source is None else self._text(source)
        source_text = None if source_text is None else unwrap(source_text)
        return {
            **self._item(draft),
            "patient": _banner(self._subject(draft)),
            "signer": draft.resource.get("authenticator", {}).get("display"),
            "text": text,
            "source": None if source is None else self._source_view(draft, source, source_text),
            "evidence": [asdict(item) for item in find_evidence(text, source_text or "")],
        }

    def decide(self, draft_id: str, action: str, version: int, text: str) -> None:
        """Write the decision over the version that the clinician saw.

        `text` is of use to ``edit-and-sign`` only. Raises `FhirError`: 412 where a newer version
        exists, 409 where the draft is not open any more.
        """
        draft = self.store.read("DocumentReference", draft_id)
        if _state(draft) != "unsigned":
            raise refuse(409, "conflict", "only an unsigned draft can be signed or discarded")
        match action:
            case "sign":
                changed = signing.sign(draft.resource)
            case "edit-and-sign":
                changed = signing.edit_and_sign(draft.resource, text)
            case "discard":
                changed = signing.discard(draft.resource)
            case _:
                raise refuse(404, "not-supported", "no such action")
        self.store.update(changed, draft_id, if_match=version)

    def _item(self, draft: Version) -> dict[str, Any]:
        source = self._source(draft)
        return {
            "id": draft.id,
            "version": draft.number,
            "state": _state(draft),
            "updated": draft.last_updated,
            "title": _type_name(draft.resource),
            "sourceTitle": None if source is None else _type_name(source.resource),
            "sourceDate": None if source is None else source.resource.get("date"),
            "patientId": draft.resource.get("subject", {}).get("reference", ""),
            "patientName": _name(self._subject(draft)),
        }

    def _source_view(self, draft: Version, source: Version, text: str | None) -> dict[str, Any]:
        filed = self.store.read_version(draft.type, draft.id, 1)
        return {
            "reference": source.reference,
            "version": source.number,
            "title": _type_name(source.resource),
            "date": source.resource.get("date"),
            "author": next((a.get("display") for a in source.resource.get("author", [])), None),
            "status": source.resource.get("status"),
            "changed": source.last_updated > filed.last_updated,
            "text": text,
        }

    def _source(self, draft: Version) -> Version | None:
        related = draft.resource.get("context", {}).get("related", [])
        reference = related[0].get("reference", "") if related else ""
        _, _, tail = reference.rpartition("DocumentReference/")
        return self._read("DocumentReference", tail.split("/")[0])

    def _subject(self, draft: Version) -> dict[str, Any]:
        reference = draft.resource.get("subject", {}).get("reference", "")
        patient = self._read("Patient", reference.rpartition("/")[2])
        return {} if patient is None else patient.resource

    def _read(self, resource_type: str, resource_id: str) -> Version | None:
        try:
            return self.store.read(resource_type, resource_id)
        except FhirError:
            return None

    def _text(self, document: Version) -> str | None:
        """Return what a reader sees of the first text or HTML attachment; None where there is no such."""
        for label, data in self._attachments(document.resource):
            media = parse_media_type(label)
            declared = [media.charset] if media.charset else []
            if media.name in (HTML, XHTML):
                markup = decode(data, [*declared, *filter(None, [charset_of(data)])]).text
                return html_to_text(markup, xhtml=media.name == XHTML)[0]
            if media.name in (TEXT, None):
                return decode(data, declared).text
        return None

    def _attachments(self, document: dict[str, Any]) -> Iterator[tuple[str | None, bytes]]:
        for content in document.get("content", []):
            attachment = content.get("attachment", {})
            data = attachment.get("data")
            if data is None:
                binary = self._read("Binary", attachment.get("url", "").rpartition("/")[2])
                data = None if binary is None else binary.resource.get("data")
            if data is not None:
                yield attachment.get("contentType"), base64.b64decode(data)


def _state(draft: Version) -> str:
    """Say in one word what the worklist sorts by."""
    status, doc_status = draft.resource.get("status"), draft.resource.get("docStatus")
    if status == "superseded":
        return "withdrawn"
    if "entered-in-error" in (status, doc_status):
        return "discarded"
    return "unsigned" if doc_status == "preliminary" else "signed"


def _type_name(document: dict[str, Any]) -> str:
    concept = document.get("type", {})
    displays = (coding.get("display") for coding in concept.get("coding", []))
    return concept.get("text") or next(filter(None, displays), "Document")


def _name(patient: dict[str, Any]) -> str:
    name: dict[str, Any] = next(iter(patient.get("name", [])), {})
    return name.get("text") or " ".join([*name.get("given", []), name.get("family", "")]).strip() or "Unknown patient"


def _banner(patient: dict[str, Any]) -> dict[str, Any]:
    identifier: dict[str, Any] = next(iter(patient.get("identifier", [])), {})
    return {
        "name": _name(patient),
        "birthDate": patient.get("birthDate"),
        "gender": patient.get("gender"),
        "mrn": identifier.get("value"),
    }
