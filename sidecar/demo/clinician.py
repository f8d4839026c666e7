"""The scripted clinician: signs, edits and discards drafts over the FHIR API, as a person would by the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from sidecar.demo import signing
from sidecar.errors import EhrRefused, VersionConflict
from sidecar.http import open_client

if TYPE_CHECKING:
    from collections.abc import Callable

_FHIR_JSON = "application/fhir+json"


async def sign(ehr_base: str, draft_id: str) -> None:
    """Sign the draft as it stands. These three raise `VersionConflict` when somebody wrote in between."""
    await _rewrite(ehr_base, draft_id, signing.sign)


async def edit_and_sign(ehr_base: str, draft_id: str, edit: Callable[[str], str]) -> None:
    """Sign what `edit` makes of the draft's text."""
    await _rewrite(ehr_base, draft_id, lambda draft: signing.edit_and_sign(draft, edit(signing.text_of(draft))))


async def discard(ehr_base: str, draft_id: str) -> None:
    await _rewrite(ehr_base, draft_id, signing.discard)


async def _rewrite(ehr_base: str, draft_id: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    url = f"DocumentReference/{draft_id}"
    async with open_client(ehr_base) as client:
        answer = await client.get(url, headers={"accept": _FHIR_JSON})
        _check(answer.status_code)
        changed = change(orjson.loads(answer.content))
        headers = {"content-type": _FHIR_JSON, "if-match": answer.headers["etag"], "prefer": "return=minimal"}
        answer = await client.put(url, content=orjson.dumps(changed), headers=headers)
        _check(answer.status_code)


def _check(status: int) -> None:
    if status == 412:
        raise VersionConflict("412")
    if status >= 400:
        raise EhrRefused(status)
