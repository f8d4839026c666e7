"""Change data capture: Debezium rows, raw or flattened, and what its outbox router makes of them.

A row gives a resource when a column holds one (object, or JSON text; the row itself in MongoDB), else
what its columns name. Column names differ by server and database, hence the lists below, compared
without regard to case (Oracle writes upper case).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.errors import DeadLetterEvent
from sidecar.intake.envelopes.resource import (
    document_of_key,
    event_of,
    event_of_reference,
    event_of_resource,
    parse_json,
    retraction,
    says_deleted,
    unknown_envelope,
)
from sidecar.outcomes import DeadLetterCode
from sidecar.references import FHIR_TYPE

if TYPE_CHECKING:
    from sidecar.intake.envelopes.resource import Events, Message, Open
    from sidecar.intake.record import DocumentEvent, Record

_AGGREGATE = (("aggregatetype",), ("aggregateid",))
_RESOURCE = (("resource_type", "resourcetype", "res_type"), ("fhir_id", "resource_id", "res_id", "id"))
_VERSION = ("version_id", "res_ver")
_KIND = ("eventtype", "event_type", "type")
_TABLES = {"documentreference": "DocumentReference", "document_reference": "DocumentReference"}


def is_change(message: Message) -> bool:
    return isinstance(message.get("op"), str) and ("after" in message or "before" in message)


def open_change(message: Message, open_inner: Open) -> Events:
    """Open `{before, after, source, op, ts_ms}`; `op` is c, u, r (snapshot) or d."""
    deleted = message["op"] == "d"
    source = message.get("source")
    table = source.get("table") if isinstance(source, dict) else None
    row = _row(message.get("before" if deleted else "after"))
    return _open_deleted(row, table, open_inner) if deleted else _open_row(row, table, open_inner)


def is_flattened(message: Message) -> bool:
    return "__deleted" in message or "__op" in message


def open_flattened(message: Message, open_inner: Open) -> Events:
    """Open a row that ExtractNewRecordState flattened, with its fields `__op` or `__deleted` kept."""
    deleted = message.get("__op") == "d" or message.get("__deleted") in (True, "true")
    table = message.get("__table")
    return _open_deleted(message, table, open_inner) if deleted else _open_row(message, table, open_inner)


def is_payload(message: Message) -> bool:
    return "payload" in message


def open_payload(message: Message, open_inner: Open) -> Events:
    """Open what lies under `payload`: an outbox event, or Kafka Connect's JSON with its schema beside."""
    return _open_outbox(_columns(message), open_inner)


def open_tombstone(record: Record) -> Events:
    """Open a null value.

    Its key may name a document, and on a compacted topic that means deleted. But a null also follows
    each delete that was told already, and a wrong retraction withdraws a draft: so it is id-only, and the
    EHR says whether the document is gone. A header `__op` of "d" does say deleted. Else it is a no-op.
    """
    named = document_of_key(record)
    if named is None:
        return ()
    return (retraction(named) if record.header("__op") == "d" else named,)


def _open_deleted(row: Message, table: object, open_inner: Open) -> Events:
    """Return retractions, but nothing for an outbox row.

    Those are deleted as soon as they are written (debezium.io, outbox event router), which says nothing
    about the document.
    """
    if "aggregatetype" in _columns(row):
        return ()
    return tuple(map(retraction, _open_row(row, table, open_inner)))


def _open_row(row: Message, table: object, open_inner: Open) -> Events:
    columns = _columns(row)
    if "aggregatetype" in columns and "payload" in columns:
        return _open_outbox(columns, open_inner)
    if (resource := _resource_in(row)) is not None:
        return (event_of_resource(resource),)
    named = _named(columns, table)
    if named is None:
        raise unknown_envelope()
    return (named,)


def _open_outbox(columns: Message, open_inner: Open) -> Events:
    """Open the payload; where it is no envelope that we know, the aggregate is what changed."""
    try:
        events = open_inner(columns["payload"])
    except DeadLetterEvent as end:
        named = _named(columns, None)
        if named is None or end.reason is DeadLetterCode.INVALID_RESOURCE:
            raise
        events = (named,)
    deleted = any(says_deleted(columns.get(name)) for name in _KIND)
    return tuple(map(retraction, events)) if deleted else events


def _row(value: object) -> Message:
    """Return the row; MongoDB's connector writes it as JSON text."""
    row = parse_json(value) if isinstance(value, str) else value
    return row if isinstance(row, dict) else {}


def _columns(row: Message) -> Message:
    return {name.lower(): column for name, column in row.items()}


def _resource_in(row: Message) -> Message | None:
    """Return the row where it is a resource itself, else the first column that holds a whole one."""
    candidates = (row, *map(_parsed, row.values()))
    return next((item for item in candidates if isinstance(item, dict) and {"resourceType", "id"} <= item.keys()), None)


def _parsed(column: object) -> object:
    if not isinstance(column, str) or not column.startswith("{"):
        return column
    try:
        return parse_json(column)
    except DeadLetterEvent:  # text that only looks like JSON, in a column of something else
        return None


def _named(columns: Message, table: object) -> DocumentEvent | None:
    """Return the event for the resource that the columns name, None where they name none."""
    types, ids = _AGGREGATE if "aggregatetype" in columns else _RESOURCE
    logical_id = _first(columns, ids)
    if logical_id is None:
        return None
    if (referred := event_of_reference(logical_id)) is not None:
        return referred
    resource_type = _resource_type(_first(columns, types), table)
    return event_of(resource_type, str(logical_id), _first(columns, _VERSION)) if resource_type else None


def _resource_type(column: object, table: object) -> str | None:
    """Tables and aggregates are often named in lower case; only documents are worth guessing."""
    if isinstance(column, str) and FHIR_TYPE.fullmatch(column):
        return column
    return _TABLES.get(str(table if column is None else column).lower())


def _first(columns: Message, names: tuple[str, ...]) -> str | int | None:
    """Return the first of the columns that has a text or a number (HAPI's RES_ID is one)."""
    found = (columns.get(name) for name in names)
    return next((value for value in found if isinstance(value, str | int) and not isinstance(value, bool)), None)
