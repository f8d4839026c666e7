"""What the demo EHR refuses to store: the checks of R4 that matter for documents and their neighbours.

Value sets with a required binding, required elements, and the JSON types of what is searched or
read. Elements that are not named here are kept as they come.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sidecar.demo.outcome import FhirError, Issue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_REFERENCE = re.compile(
    r"([A-Za-z]+/[A-Za-z0-9\-.]{1,64}(/_history/[A-Za-z0-9\-.]{1,64})?|#.+|urn:(uuid|oid):.+|https?://.+)"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """`path` walks the JSON; a segment that ends in ``[]`` is a list. `check` sees each value there."""

    path: str
    check: Callable[[object], bool]
    required: bool = False


def _one_of(*codes: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in codes


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_media_type(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[\w.+-]+/[\w.+-]+( *;[ -~]*)?", value, re.ASCII) is not None


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and bool(value)


def _is_reference(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    target = value.get("reference")
    if target is None:
        return bool(value.keys() & {"identifier", "display", "extension"})
    return isinstance(target, str) and _REFERENCE.fullmatch(target) is not None


def _is_concept(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("text", ""), str):
        return False
    codings = value.get("coding", [])
    return isinstance(codings, list) and all(_is_coding(coding) for coding in codings)


def _is_coding(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(name, ""), str) for name in ("system", "version", "code", "display")
    )


def _is_identifier(value: object) -> bool:
    return (
        _is_object(value)
        and isinstance(value, dict)
        and all(isinstance(value.get(name, ""), str) for name in ("system", "value"))
    )


def _is_instant(value: object) -> bool:
    """Ask for what R4 asks of an instant: date, time of day and offset."""
    if not isinstance(value, str) or "T" not in value:
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return False
    if re.fullmatch(r"\d{4}(-\d{2})?", value):
        return True
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return False
    return "T" not in value or moment.tzinfo is not None


def _is_base64(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        base64.b64decode("".join(value.split()), validate=True)  # line breaks are common and allowed
    except (binascii.Error, ValueError):
        return False
    return True


def _is_unsigned(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_ANY = (
    Rule("meta", lambda value: isinstance(value, dict)),
    Rule("meta.security[]", _is_coding),
    Rule("identifier[]", _is_identifier),
)

RULES: dict[str, tuple[Rule, ...]] = {
    "DocumentReference": (
        *_ANY,
        Rule("status", _one_of("current", "superseded", "entered-in-error"), required=True),
        Rule("docStatus", _one_of("preliminary", "final", "amended", "entered-in-error")),
        Rule("type", _is_concept),
        Rule("category[]", _is_concept),
        Rule("subject", _is_reference),
        Rule("date", _is_instant),
        Rule("author[]", _is_reference),
        Rule("authenticator", _is_reference),
        Rule("relatesTo[].code", _one_of("replaces", "transforms", "signs", "appends"), required=True),
        Rule("relatesTo[].target", _is_reference, required=True),
        Rule("content[]", _is_object, required=True),
        Rule("content[].attachment", lambda value: isinstance(value, dict), required=True),
        Rule("content[].attachment.contentType", _is_text),
        Rule("content[].attachment.data", _is_base64),
        Rule("content[].attachment.url", _is_text),
        Rule("content[].attachment.size", _is_unsigned),
        Rule("content[].attachment.hash", _is_base64),
        Rule("context", _is_object),
        Rule("context.encounter[]", _is_reference),
        Rule("context.period.start", _is_date_time),
        Rule("context.period.end", _is_date_time),
        Rule("context.related[]", _is_reference),
    ),
    "Patient": (
        *_ANY,
        Rule("gender", _one_of("male", "female", "other", "unknown")),
        Rule("birthDate", _is_date_time),
        Rule("name[]", _is_object),
    ),
    "Encounter": (
        *_ANY,
        Rule(
            "status",
            _one_of(
                "planned", "arrived", "triaged", "in-progress", "onleave",
                "finished", "cancelled", "entered-in-error", "unknown",
            ),
            required=True,
        ),
        Rule("class", _is_coding, required=True),
        Rule("subject", _is_reference),
    ),
    "Practitioner": (*_ANY, Rule("name[]", _is_object)),
    "Binary": (*_ANY[:2], Rule("contentType", _is_media_type, required=True), Rule("data", _is_base64)),
    "Device": (
        *_ANY,
        Rule("status", _one_of("active", "inactive", "entered-in-error", "unknown")),
        Rule("type", _is_concept),
        Rule("deviceName[].name", _is_text, required=True),
        Rule("version[].value", _is_text, required=True),
    ),
    "Provenance": (
        *_ANY[:2],
        Rule("target[]", _is_reference, required=True),
        Rule("recorded", _is_instant, required=True),
        Rule("agent[]", _is_object, required=True),
        Rule("agent[].who", _is_reference, required=True),
        Rule("entity[].role", _one_of("derivation", "revision", "quotation", "source", "removal"), required=True),
        Rule("entity[].what", _is_reference, required=True),
    ),
}  # fmt: skip


def check_resource(resource: dict[str, Any]) -> None:
    """Raise `FhirError` 422 that names every element at fault, and no value."""
    resource_type = resource["resourceType"]
    issues = [issue for rule in RULES[resource_type] for issue in _violations(rule, resource, resource_type)]
    if issues:
        raise FhirError(422, *issues)


def _violations(rule: Rule, resource: dict[str, Any], resource_type: str) -> Iterator[Issue]:
    for value in _walk(resource, rule.path.split(".")):
        expression = f"{resource_type}.{rule.path.replace('[]', '')}"
        if value is _Missing:
            if rule.required:
                yield Issue("required", "a required element is missing", expression)
        elif value is _Malformed or not rule.check(value):
            yield Issue("value", "the element has a wrong type or a code outside its value set", expression)


class _Missing: ...


class _Malformed: ...


def _walk(node: dict[str, Any], path: list[str]) -> Iterator[object]:
    """Yield the values at `path`; `_Missing` where only the last step is absent.

    A missing parent is its own rule's matter. Null counts as missing, an empty list too: FHIR
    JSON knows neither.
    """
    is_list = path[0].endswith("[]")
    value = node.get(path[0].removesuffix("[]"))
    if value is None or (is_list and value == []):
        if len(path) == 1:
            yield _Missing
        return
    if is_list != isinstance(value, list):
        yield _Malformed
        return
    for item in value if is_list else [value]:
        if len(path) == 1:
            yield item
        elif isinstance(item, dict):
            yield from _walk(item, path[1:])
        else:
            yield _Malformed
