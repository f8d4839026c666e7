"""The demo EHR's database: every version of every resource, a search index, and an outbox.

SQLite, one connection, one lock: each call is one transaction, so a conditional create looks and
writes without anything in between, and an event is in the outbox exactly when its write is in the
table. Safe to call from any thread; no call waits for the network.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import orjson

from sidecar.demo.outcome import refuse
from sidecar.demo.search import Condition, Search, index_entries, instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Method = Literal["POST", "PUT", "DELETE"]
PUBLISHED_TYPE = "DocumentReference"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS version (
    seq INTEGER PRIMARY KEY, type TEXT, id TEXT, version INTEGER, last_updated TEXT, deleted INTEGER, body BLOB,
    UNIQUE (type, id, version)
);
CREATE TABLE IF NOT EXISTS current (
    type TEXT, id TEXT, version INTEGER, last_updated TEXT, deleted INTEGER, seq INTEGER,
    PRIMARY KEY (type, id)
);
CREATE INDEX IF NOT EXISTS current_in_order ON current (type, seq);
CREATE TABLE IF NOT EXISTS search_index (type TEXT, id TEXT, name TEXT, system TEXT, value TEXT);
CREATE INDEX IF NOT EXISTS search_by_value ON search_index (type, name, value);
CREATE INDEX IF NOT EXISTS search_by_id ON search_index (type, id);
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, method TEXT, id TEXT, version INTEGER, key TEXT, traceparent TEXT
);
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One stored version. A deletion is a version of its own, with `deleted` and no content."""

    type: str
    id: str
    number: int
    last_updated: str
    deleted: bool
    resource: dict[str, Any]

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Created:
    """`new` is False where a conditional create found its match and wrote nothing."""

    version: Version
    new: bool


@dataclass(frozen=True, slots=True)
class Page:
    """`next_after` is the `Search.after` of the page that follows, None on the last one."""

    versions: tuple[Version, ...]
    total: int
    next_after: int | None


@dataclass(frozen=True, slots=True)
class Event:
    """A write that waits to be published. `seq` grows by one with each write, for ever."""

    seq: int
    method: Method
    key: str
    version: Version
    traceparent: str | None


class Store:
    """Raises `FhirError` with the status that the FHIR API answers: 404, 410 or 412."""

    def __init__(self, path: Path | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._lock = threading.Lock()
        self._now = now
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")  # survives a killed process; that is the promise here
        self._connection.executescript(_SCHEMA)
        self._latest = self._connection.execute("SELECT max(last_updated) FROM current").fetchone()[0] or ""

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def read(self, resource_type: str, resource_id: str) -> Version:
        with self._transaction():
            return self._live(resource_type, resource_id)

    def read_version(self, resource_type: str, resource_id: str, number: int) -> Version:
        with self._transaction():
            version = self._version(resource_type, resource_id, number)
        if version is None:
            raise refuse(404, "not-found", "no such version")
        if version.deleted:
            raise refuse(410, "deleted", "deleted in this version")
        return version

    def search(self, resource_type: str, search: Search) -> Page:
        where, arguments = _where(resource_type, search.conditions)
        page, page_arguments = _page(search)
        with self._transaction():
            total = self._connection.execute(f"SELECT count(*) {where}", arguments).fetchone()[0]
            rows = self._connection.execute(
                f"SELECT c.seq, c.type, c.id, c.version {where} {page}", (*arguments, *page_arguments)
            ).fetchall()
            shown = rows[: search.count]
            found = [self._version(*row[1:]) for row in shown]
        more = shown[-1][0] if shown and len(rows) > search.count else None
        return Page(tuple(v for v in found if v is not None), total, more)

    def create(
        self,
        resource: dict[str, Any],
        *,
        if_none_exist: Search | None = None,
        traceparent: str | None = None,
    ) -> Created:
        """Store under a new id, unless `if_none_exist` finds one already; 412 where it finds several."""
        resource_type = resource["resourceType"]
        with self._transaction():
            match = self._single_match(resource_type, if_none_exist) if if_none_exist else None
            if match is not None:
                return Created(match, new=False)
            return Created(self._write("POST", resource, str(uuid.uuid4()), 1, traceparent), new=True)

    def update(
        self,
        resource: dict[str, Any],
        resource_id: str,
        *,
        if_match: int | None = None,
        traceparent: str | None = None,
    ) -> Version:
        """Store as the next version; 404 for an unknown id, 410 for a deleted one, 412 if `if_match` is stale."""
        with self._transaction():
            current = self._live(resource["resourceType"], resource_id)
            _check_match(current, if_match)
            return self._write("PUT", resource, resource_id, current.number + 1, traceparent)

    def delete(
        self,
        resource_type: str,
        resource_id: str,
        *,
        if_match: int | None = None,
        traceparent: str | None = None,
    ) -> None:
        """Write a deletion; of what is deleted already nothing is written."""
        with self._transaction():
            current = self._current(resource_type, resource_id)
            if current is None:
                raise refuse(404, "not-found", "no such resource")
            if current.deleted:
                return
            _check_match(current, if_match)
            self._write_deletion(current, traceparent)

    def load(self, resource: dict[str, Any]) -> Version:
        """Create or update under the resource's own id, unchecked: charts hold content that no API would take today."""
        resource_type, resource_id = resource["resourceType"], resource["id"]
        with self._transaction():
            current = self._current(resource_type, resource_id)
            number = 1 if current is None else current.number + 1
            return self._write("POST" if number == 1 else "PUT", resource, resource_id, number, None)

    def pending_events(self, limit: int) -> list[Event]:
        with self._transaction():
            rows = self._connection.execute(
                "SELECT seq, method, id, version, key, traceparent FROM outbox ORDER BY seq LIMIT ?", (limit,)
            ).fetchall()
            return [self._event(*row) for row in rows]

    def settle_events(self, last_seq: int) -> None:
        """Forget events up to and with `last_seq`: the broker has them."""
        with self._transaction():
            self._connection.execute("DELETE FROM outbox WHERE seq <= ?", (last_seq,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _live(self, resource_type: str, resource_id: str) -> Version:
        current = self._current(resource_type, resource_id)
        if current is None:
            raise refuse(404, "not-found", "no such resource")
        if current.deleted:
            raise refuse(410, "deleted", "the resource was deleted")
        return current

    def _current(self, resource_type: str, resource_id: str) -> Version | None:
        row = self._connection.execute(
            "SELECT version FROM current WHERE type = ? AND id = ?", (resource_type, resource_id)
        ).fetchone()
        return None if row is None else self._version(resource_type, resource_id, row[0])

    def _version(self, resource_type: str, resource_id: str, number: int) -> Version | None:
        row = self._connection.execute(
            "SELECT last_updated, deleted, body FROM version WHERE type = ? AND id = ? AND version = ?",
            (resource_type, resource_id, number),
        ).fetchone()
        if row is None:
            return None
        return Version(resource_type, resource_id, number, row[0], bool(row[1]), orjson.loads(row[2]))

    def _single_match(self, resource_type: str, search: Search) -> Version | None:
        where, arguments = _where(resource_type, search.conditions)
        rows = self._connection.execute(f"SELECT c.id {where} LIMIT 2", arguments).fetchall()
        if len(rows) > 1:
            raise refuse(412, "multiple-matches", "If-None-Exist matches more than one resource")
        return self._current(resource_type, rows[0][0]) if rows else None

    def _write(
        self, method: Method, resource: dict[str, Any], resource_id: str, number: int, traceparent: str | None
    ) -> Version:
        now = self._tick()
        given = resource.get("meta")
        meta = {**(given if isinstance(given, dict) else {}), "versionId": str(number), "lastUpdated": now}
        stored = {"resourceType": resource["resourceType"], "id": resource_id, "meta": meta}
        stored |= {name: value for name, value in resource.items() if name not in stored}
        version = Version(stored["resourceType"], resource_id, number, now, deleted=False, resource=stored)
        self._insert(version)
        self._connection.executemany(
            "INSERT INTO search_index VALUES (?, ?, ?, ?, ?)",
            [(version.type, version.id, e.name, e.system, e.value) for e in index_entries(stored)],
        )
        self._announce(method, version, _event_key(version), traceparent)
        return version

    def _write_deletion(self, current: Version, traceparent: str | None) -> None:
        body = {"resourceType": current.type, "id": current.id}
        version = Version(current.type, current.id, current.number + 1, self._tick(), deleted=True, resource=body)
        self._insert(version)
        self._announce("DELETE", version, _event_key(current), traceparent)

    def _insert(self, version: Version) -> None:
        row = (version.type, version.id, version.number, version.last_updated, version.deleted)
        seq = self._connection.execute(
            "INSERT INTO version (type, id, version, last_updated, deleted, body) VALUES (?, ?, ?, ?, ?, ?)",
            (*row, orjson.dumps(version.resource)),
        ).lastrowid
        self._connection.execute("INSERT OR REPLACE INTO current VALUES (?, ?, ?, ?, ?, ?)", (*row, seq))
        self._connection.execute("DELETE FROM search_index WHERE type = ? AND id = ?", row[:2])

    def _announce(self, method: Method, version: Version, key: str, traceparent: str | None) -> None:
        if version.type == PUBLISHED_TYPE:
            self._connection.execute(
                "INSERT INTO outbox (method, id, version, key, traceparent) VALUES (?, ?, ?, ?, ?)",
                (method, version.id, version.number, key, traceparent),
            )

    def _event(
        self, seq: int, method: Method, resource_id: str, number: int, key: str, traceparent: str | None
    ) -> Event:
        version = self._version(PUBLISHED_TYPE, resource_id, number)
        if version is None:  # written in the same transaction as the outbox row, and never removed
            raise sqlite3.IntegrityError("an outbox row without its version")
        return Event(seq, method, key, version, traceparent)

    def _tick(self) -> str:
        """Return now, never earlier than the write before: `_lastUpdated` searches lean on it."""
        self._latest = max(self._latest, instant(self._now()))
        return self._latest


def _where(resource_type: str, conditions: Sequence[Condition]) -> tuple[str, tuple[str, ...]]:
    sql = " AND ".join(["c.type = ?", "c.deleted = 0", *(c.sql for c in conditions)])
    arguments = (resource_type, *(argument for c in conditions for argument in c.arguments))
    return f"FROM current c WHERE {sql}", arguments


def _page(search: Search) -> tuple[str, tuple[int, ...]]:
    """Order by write, which is the order of `lastUpdated` and tells apart what one millisecond holds."""
    order, beyond = ("DESC", "<") if search.descending else ("ASC", ">")
    if search.after is None:
        return f"ORDER BY c.seq {order} LIMIT ?", (search.count + 1,)
    return f"AND c.seq {beyond} ? ORDER BY c.seq {order} LIMIT ?", (search.after, search.count + 1)


def _check_match(current: Version, if_match: int | None) -> None:
    if if_match is not None and if_match != current.number:
        raise refuse(412, "conflict", "the resource has a newer version")


def _event_key(version: Version) -> str:
    """Events of one patient share a partition, so they stay in order; without a patient, those of one document."""
    subject = version.resource.get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    return reference if isinstance(reference, str) and reference else version.reference
