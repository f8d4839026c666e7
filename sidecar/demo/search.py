"""FHIR search: which parameters exist, what they index, and how a query becomes SQL conditions.

Every parameter of this server is a token or a reference, but `_id` and `_lastUpdated`. Values
separated by commas are alternatives, repeated parameters must all match; an unknown parameter or
modifier is refused, because a search that is silently wider than asked is how wrong charts open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from sidecar.demo.outcome import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

DEFAULT_COUNT = 50
MAX_COUNT = 200

_HISTORY = re.compile(r"/_history/[^/]+$")
_LAST_UPDATED = re.compile(r"(eq|ne|gt|lt|ge|le)?(\d{4}-.+)")
_COMMA = re.compile(r"(?<!\\),")
_BAR = re.compile(r"(?<!\\)\|")
_ESCAPE = re.compile(r"\\([\\,|$])")


@dataclass(frozen=True, slots=True)
class Parameter:
    """`target` limits a reference to one resource type and completes a bare id."""

    kind: Literal["token", "reference"]
    paths: tuple[str, ...]
    target: str | None = None


def _token(*paths: str) -> Parameter:
    return Parameter("token", paths)


_PATIENT = Parameter("reference", ("subject",), "Patient")
_SUBJECT = Parameter("reference", ("subject",))
_IDENTIFIER = _token("identifier")
_COMMON = {"_security": _token("meta.security")}

PARAMETERS: dict[str, dict[str, Parameter]] = {
    "DocumentReference": {
        **_COMMON,
        "patient": _PATIENT,
        "subject": _SUBJECT,
        "encounter": Parameter("reference", ("context.encounter",), "Encounter"),
        "identifier": _token("masterIdentifier", "identifier"),
        "type": _token("type"),
        "category": _token("category"),
        "status": _token("status"),
        "doc-status": _token("docStatus"),  # R5; in R4 the Da Vinci PCT search parameter of this name
        "author": Parameter("reference", ("author",)),
        "related": Parameter("reference", ("context.related",)),
    },
    "Patient": {**_COMMON, "identifier": _IDENTIFIER},
    "Encounter": {
        **_COMMON,
        "identifier": _IDENTIFIER,
        "patient": _PATIENT,
        "subject": _SUBJECT,
        "status": _token("status"),
    },
    "Practitioner": {**_COMMON, "identifier": _IDENTIFIER},
    "Binary": {**_COMMON},
    "Device": {**_COMMON, "identifier": _IDENTIFIER, "type": _token("type")},
    "Provenance": {
        **_COMMON,
        "target": Parameter("reference", ("target",)),
        "agent": Parameter("reference", ("agent.who",)),
    },
}


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One searchable value; `system` is empty for codes, bare values and references."""

    name: str
    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A piece of a WHERE clause on the table `current`, and its arguments."""

    sql: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """One parsed query. `after` says where the page before ended, see `Page.next_after`."""

    conditions: tuple[Condition, ...]
    descending: bool = False
    count: int = DEFAULT_COUNT
    after: int | None = None


def index_entries(resource: dict[str, Any]) -> Iterator[IndexEntry]:
    """Yield what the resource can be found by; parts of a wrong shape are passed over."""
    for name, parameter in PARAMETERS.get(resource.get("resourceType", ""), {}).items():
        for path in parameter.paths:
            for value in _values(resource, path.split(".")):
                yield from _entries(name, parameter, value)


def parse_search(resource_type: str, base_url: str, query: Iterable[tuple[str, str]]) -> Search:
    """Raise `FhirError` 400 for a parameter, modifier or value that is not supported."""
    conditions: list[Condition] = []
    control: dict[str, Any] = {}
    for name, value in query:
        match name:
            case "_id":
                conditions.append(_any_of("id = ?", [(part,) for part in _split(value)]))
            case "_lastUpdated":
                conditions.append(_last_updated(value))
            case "_sort":
                control["descending"] = _descending(value)
            case "_count":
                control["count"] = min(_number(value), MAX_COUNT)
            case "_cursor":
                control["after"] = _number(value)
            case _:
                conditions.append(_indexed(resource_type, base_url, name, value))
    return Search(tuple(conditions), **control)


def _values(node: object, path: Sequence[str]) -> Iterator[object]:
    if isinstance(node, list):
        for item in node:
            yield from _values(item, path)
    elif not path:
        yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _values(node[path[0]], path[1:])


def _entries(name: str, parameter: Parameter, value: object) -> Iterator[IndexEntry]:
    pairs = _tokens(value) if parameter.kind == "token" else _reference(value, parameter.target)
    for system, text in pairs:
        if isinstance(system, str) and isinstance(text, str):
            yield IndexEntry(name, system, text)


def _tokens(value: object) -> Iterator[tuple[object, object]]:
    """Code, Coding, CodeableConcept or Identifier, told apart by shape."""
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, dict) and isinstance(value.get("coding"), list):
        for coding in value["coding"]:
            yield from _tokens(coding)
    elif isinstance(value, dict):
        yield value.get("system", ""), value.get("code", value.get("value"))


def _reference(value: object, target: str | None) -> Iterator[tuple[object, object]]:
    text = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(text, str):
        return
    plain = _HISTORY.sub("", text)
    if target is None or f"/{plain}".split("/")[-2] == target:
        yield "", plain


def _indexed(resource_type: str, base_url: str, name: str, value: str) -> Condition:
    parameter = PARAMETERS[resource_type].get(name)
    if parameter is None:
        raise refuse(400, "not-supported", "unknown search parameter or modifier")
    if parameter.kind == "token":
        tests = [_token_test(name, part) for part in _split(value)]
    else:
        tests = [_reference_test(name, parameter, base_url, part) for part in _split(value)]
    return _exists(tests)


def _token_test(name: str, value: str) -> tuple[str, tuple[str, ...]]:
    parts = [_unescape(part) for part in _BAR.split(value, maxsplit=1)]
    if len(parts) == 1:
        return "name = ? AND value = ?", (name, parts[0])
    system, code = parts
    if not code:
        return "name = ? AND system = ?", (name, system)
    return "name = ? AND system = ? AND value = ?", (name, system, code)


def _reference_test(name: str, parameter: Parameter, base_url: str, value: str) -> tuple[str, tuple[str, ...]]:
    plain = _HISTORY.sub("", _unescape(value)).removeprefix(base_url + "/")
    if "/" not in plain:
        if parameter.target is None:
            raise refuse(400, "value", "this reference parameter needs Type/id")
        plain = f"{parameter.target}/{plain}"
    # A client may have stored the reference relative or with our base URL: both mean the same.
    return "name = ? AND value IN (?, ?)", (name, plain, f"{base_url}/{plain}")


def _exists(tests: Sequence[tuple[str, tuple[str, ...]]]) -> Condition:
    either = _any_of_sql(tests)
    sql = f"EXISTS (SELECT 1 FROM search_index i WHERE i.type = c.type AND i.id = c.id AND ({either.sql}))"  # noqa: S608 - constants only, values are bound
    return Condition(sql, either.arguments)


def _any_of(test: str, values: Sequence[tuple[str, ...]]) -> Condition:
    either = _any_of_sql([(f"c.{test}", value) for value in values])
    return Condition(f"({either.sql})", either.arguments)


def _any_of_sql(tests: Sequence[tuple[str, tuple[str, ...]]]) -> Condition:
    sql = " OR ".join(f"({test})" for test, _ in tests)
    return Condition(sql, tuple(argument for _, arguments in tests for argument in arguments))


def _last_updated(value: str) -> Condition:
    """Compare with the whole interval that the value names: `gt2026-11-20` begins on the 21st."""
    match = _LAST_UPDATED.fullmatch(value)
    if match is None:
        raise refuse(400, "value", "_lastUpdated is not a date or instant")
    first, end = _interval(match[2])
    c = "c.last_updated"
    return {
        "ge": Condition(f"{c} >= ?", (first,)),
        "gt": Condition(f"{c} >= ?", (end,)),
        "le": Condition(f"{c} < ?", (end,)),
        "lt": Condition(f"{c} < ?", (first,)),
        "eq": Condition(f"({c} >= ? AND {c} < ?)", (first, end)),
        "ne": Condition(f"({c} < ? OR {c} >= ?)", (first, end)),
    }[match[1] or "eq"]


def _interval(value: str) -> tuple[str, str]:
    try:
        start = datetime.fromisoformat(value)
    except ValueError:
        raise refuse(400, "value", "_lastUpdated is not a date or instant") from None
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    if len(value) <= len("2026-11-20"):
        width = timedelta(days=1)
    else:
        width = timedelta(milliseconds=1) if "." in value else timedelta(seconds=1)
    return instant(start), instant(start + width)


def instant(moment: datetime) -> str:
    """Return the FHIR instant in UTC with milliseconds: sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _descending(value: str) -> bool:
    if value not in ("_lastUpdated", "-_lastUpdated"):
        raise refuse(400, "not-supported", "_sort is by _lastUpdated or -_lastUpdated")
    return value.startswith("-")


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise refuse(400, "value", "a search parameter is not a number")
    return int(value)


def _split(value: str) -> list[str]:
    parts = _COMMA.split(value)
    if not all(parts):
        raise refuse(400, "value", "a search parameter has no value")
    return parts


def _unescape(value: str) -> str:
    return _ESCAPE.sub(r"\1", value)
