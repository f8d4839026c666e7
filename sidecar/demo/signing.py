"""What a clinician does to a draft, as the next version of the resource.

The demo EHR keeps the AI label after a signature: whether it stays is the hospital's policy, and
the text that was signed says itself where it came from.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

CLINICIAN = {"reference": "Practitioner/demo-clinician", "display": "Demo Clinician"}


def sign(draft: dict[str, Any]) -> dict[str, Any]:
    return {**draft, "docStatus": "final", "authenticator": CLINICIAN}


def edit_and_sign(draft: dict[str, Any], text: str) -> dict[str, Any]:
    """Put `text` in the place of the first attachment's content, with size and hash to match."""
    data = text.encode()
    first, *others = draft["content"]
    attachment = {
        **first["attachment"],
        "data": base64.b64encode(data).decode(),
        "size": len(data),
        "hash": base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode(),  # FHIR asks for SHA-1
    }
    return sign({**draft, "content": [{**first, "attachment": attachment}, *others]})


def discard(draft: dict[str, Any]) -> dict[str, Any]:
    return {**draft, "status": "entered-in-error", "docStatus": "entered-in-error"}


def text_of(draft: dict[str, Any]) -> str:
    """Return the text of the first attachment, which a draft carries inline in UTF-8."""
    return base64.b64decode(draft["content"][0]["attachment"]["data"]).decode()
