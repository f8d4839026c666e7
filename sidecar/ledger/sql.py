"""The ledger on a SQL database, through SQLAlchemy."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, event, insert, or_, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

from sidecar.errors import ConfigError, LedgerUnavailable
from sidecar.ledger.ledger import PERSON, Claimed, Entry, Key, Refusal, State, Unsettled
from sidecar.ledger.schema import drafts, metadata
from sidecar.versions import is_newer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
    from sqlalchemy.sql import ColumnElement

ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite"}
_UNSETTLED = (State.SENDING, State.UNKNOWN)
_OPEN_TO_OBSERVE = (*_UNSETTLED, State.FILED, State.EDITED, State.ATTENTION)


class SqlLedger:
    """One row a draft; each method is one transaction."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeoutError, OSError) as error:
            raise LedgerUnavailable(type(error).__name__) from None

    async def probe(self) -> None:
        """Ask whether the database answers."""
        async with self._transaction() as connection:
            await connection.execute(select(1))

    async def claim(self, draft_id: str, key: Key) -> Claimed | Unsettled | Refusal:
        async with self._transaction() as connection:
            rows = await connection.execute(select(drafts).where(_same_source(key)))
            entries = [entry_of(row) for row in rows.mappings()]
            same = next((entry for entry in entries if entry.draft_id == draft_id), None)
            others = [entry for entry in entries if entry.draft_id != draft_id]
            if same is not None and same.state not in (State.CLAIMED, State.PARKED):
                return Unsettled(same) if same.state in _UNSETTLED else Refusal.HANDLED
            if (answer := _judge_others(key, others)) is not None:
                return answer
            await self._clear_older(connection, others)
            return await self._take(connection, draft_id, key, same)

    async def _clear_older(self, connection: AsyncConnection, others: Sequence[Entry]) -> None:
        """Older versions that were claimed or parked wrote nothing and will not: the newest version wins."""
        older = [entry.draft_id for entry in others if entry.state in (State.CLAIMED, State.PARKED)]
        if older:
            values = {"state": State.REPLACED, "reason": "superseded", "owner": None, "updated": self._now()}
            await connection.execute(update(drafts).where(drafts.c.draft_id.in_(older)).values(values))

    async def _take(self, connection: AsyncConnection, draft_id: str, key: Key, same: Entry | None) -> Claimed:
        token, now = secrets.token_hex(16), self._now()
        attempts = 1
        if same is None:
            values = {"state": State.CLAIMED, "owner": token, "attempts": attempts}
            await connection.execute(insert(drafts).values(**_row(draft_id, key, now), **values))
        else:
            # Parked work was given up in order; only a claim that its worker did not end counts against it.
            attempts = same.attempts + 1 if same.state is State.CLAIMED else 1
            values = {"state": State.CLAIMED, "owner": token, "attempts": attempts, "updated": now}
            values |= {"reason": None, "retry_at": None}
            await connection.execute(update(drafts).where(drafts.c.draft_id == draft_id).values(values))
        return Claimed(draft_id, token, attempts)

    async def start_sending(self, claim: Claimed) -> bool:
        return await self._step(claim, (State.CLAIMED,), {"state": State.SENDING})

    async def adopt(self, entry: Entry) -> Claimed | None:
        token = secrets.token_hex(16)
        async with self._transaction() as connection:
            result = await connection.execute(
                update(drafts)
                .where(drafts.c.draft_id == entry.draft_id, drafts.c.state.in_(_UNSETTLED))
                .where(drafts.c.updated == entry.updated)
                .values(state=State.CLAIMED, reason=None, retry_at=None, owner=token, updated=self._now())
            )
        return Claimed(entry.draft_id, token) if result.rowcount == 1 else None

    async def record_filed(self, claim: Claimed, target: str, version: str | None, text_digest: str | None) -> None:
        values = {"state": State.FILED, "target": target, "target_version": version, "text_digest": text_digest}
        await self._step(claim, _UNSETTLED, {**values, "reason": None, "retry_at": None})

    async def record_found(self, entry: Entry, target: str, version: str | None, text_digest: str | None) -> None:
        values = {"state": State.FILED, "target": target, "target_version": version, "text_digest": text_digest}
        async with self._transaction() as connection:
            await connection.execute(
                update(drafts)
                .where(drafts.c.draft_id == entry.draft_id, drafts.c.state.in_(_UNSETTLED))
                .values(**values, reason=None, retry_at=None, updated=self._now())
            )

    async def record_unknown(self, claim: Claimed, retry_at: datetime | None) -> None:
        values = {"state": State.UNKNOWN, "reason": "unknown-write", "retry_at": retry_at}
        await self._step(claim, _UNSETTLED, values)

    async def record_rejected(self, claim: Claimed, reason: str) -> None:
        await self._step(claim, _UNSETTLED, {"state": State.PARKED, "reason": reason, "retry_at": None, "owner": None})

    async def release(self, claim: Claimed) -> None:
        async with self._transaction() as connection:
            await connection.execute(
                delete(drafts).where(
                    drafts.c.draft_id == claim.draft_id,
                    drafts.c.owner == claim.token,
                    drafts.c.state == State.CLAIMED,
                )
            )

    async def _step(self, claim: Claimed, states: Sequence[State], values: dict[str, Any]) -> bool:
        """Change the claim's row if it is still ours and in one of `states`."""
        async with self._transaction() as connection:
            result = await connection.execute(
                update(drafts)
                .where(drafts.c.draft_id == claim.draft_id, drafts.c.owner == claim.token)
                .where(drafts.c.state.in_(states))
                .values(**values, updated=self._now())
            )
        return result.rowcount == 1

    async def park(self, draft_id: str, key: Key, reason: str, retry_at: datetime | None) -> None:
        values = {"state": State.PARKED, "reason": reason, "retry_at": retry_at, "owner": None}
        await self._put_aside(draft_id, key, values)

    async def record_attention(self, draft_id: str, key: Key, reason: str) -> None:
        values = {"state": State.ATTENTION, "reason": reason, "retry_at": None, "owner": None}
        await self._put_aside(draft_id, key, values)

    async def _put_aside(self, draft_id: str, key: Key, values: dict[str, Any]) -> None:
        """Insert, or change a row that wrote nothing; a row with a draft behind it is left alone."""
        async with self._transaction() as connection:
            row = (await connection.execute(select(drafts).where(drafts.c.draft_id == draft_id))).mappings().first()
            if row is None:
                await connection.execute(insert(drafts).values(**_row(draft_id, key, self._now()), **values))
            elif entry_of(row).state in (State.CLAIMED, State.PARKED):
                changed = {**values, "updated": self._now()}
                await connection.execute(update(drafts).where(drafts.c.draft_id == draft_id).values(changed))

    async def observe(self, draft_id: str, state: State, target: str, version: str | None) -> bool:
        async with self._transaction() as connection:
            result = await connection.execute(
                update(drafts)
                .where(drafts.c.draft_id == draft_id, drafts.c.state.in_(_OPEN_TO_OBSERVE))
                .values(state=state, target=target, target_version=version, reason=None, updated=self._now())
            )
        return result.rowcount == 1

    async def find_draft(self, target: str) -> Entry | None:
        return await self._first(drafts.c.target == target)

    async def get(self, draft_id: str) -> Entry | None:
        return await self._first(drafts.c.draft_id == draft_id)

    async def list_entries(self, state: State | None = None) -> Sequence[Entry]:
        condition = drafts.c.state == state if state else drafts.c.state.is_not(None)
        return await self._entries(condition, None)

    async def take_due(self, next_retry: datetime, limit: int) -> Sequence[Entry]:
        condition = drafts.c.state.in_((State.PARKED, State.UNKNOWN)) & (drafts.c.retry_at <= self._now())
        query = select(drafts).where(condition).order_by(drafts.c.retry_at).limit(limit)
        async with self._transaction() as connection:
            entries = [entry_of(row) for row in (await connection.execute(query)).mappings()]
            taken = drafts.c.draft_id.in_([entry.draft_id for entry in entries])
            await connection.execute(update(drafts).where(taken).values(retry_at=next_retry))
        return entries

    async def forget_parked(self, entry: Entry) -> None:
        async with self._transaction() as connection:
            unchanged = (drafts.c.state == State.PARKED) & (drafts.c.updated == entry.updated)
            await connection.execute(delete(drafts).where(drafts.c.draft_id == entry.draft_id, unchanged))

    async def retry(self, *, draft_id: str | None = None, reason: str | None = None) -> int:
        wanted = or_(drafts.c.draft_id == draft_id, drafts.c.reason == reason)
        async with self._transaction() as connection:
            result = await connection.execute(
                update(drafts)
                .where(drafts.c.state.in_((State.PARKED, State.UNKNOWN)), wanted)
                .values(retry_at=self._now())
            )
        return result.rowcount

    async def _first(self, condition: ColumnElement[bool]) -> Entry | None:
        entries = await self._entries(condition, 1)
        return entries[0] if entries else None

    async def _entries(self, condition: ColumnElement[bool], limit: int | None) -> Sequence[Entry]:
        query = select(drafts).where(condition).order_by(drafts.c.created, drafts.c.draft_id).limit(limit)
        async with self._transaction() as connection:
            return [entry_of(row) for row in (await connection.execute(query)).mappings()]


def _same_source(key: Key) -> ColumnElement[bool]:
    return (drafts.c.server == key.server) & (drafts.c.source == key.source) & (drafts.c.task == key.task)


def _judge_others(key: Key, others: Sequence[Entry]) -> Unsettled | Refusal | None:
    """Say whether rows of other versions of the same source stand in the way of a claim."""
    if any(is_newer(entry.key.source_version, key.source_version) for entry in others):
        return Refusal.SUPERSEDED
    if any(entry.state in PERSON for entry in others):
        return Refusal.PERSON_WORKED
    unsettled = next((entry for entry in others if entry.state in _UNSETTLED), None)
    if unsettled is not None:
        return Unsettled(unsettled)
    return Refusal.DRAFT_OPEN if any(entry.state is State.FILED for entry in others) else None


def _row(draft_id: str, key: Key, now: datetime) -> dict[str, Any]:
    return {
        "draft_id": draft_id,
        "server": key.server,
        "source": key.source,
        "source_version": key.source_version,
        "task": key.task,
        "created": now,
        "updated": now,
    }


def entry_of(row: Any) -> Entry:  # noqa: ANN401 - SQLAlchemy's RowMapping has no field types
    return Entry(
        draft_id=row["draft_id"],
        key=Key(row["server"], row["source"], row["source_version"], row["task"]),
        state=State(row["state"]),
        reason=row["reason"],
        target=row["target"],
        target_version=row["target_version"],
        text_digest=row["text_digest"],
        owner=row["owner"],
        attempts=row["attempts"] or 0,
        retry_at=row["retry_at"],
        created=row["created"],
        updated=row["updated"],
    )


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def open_ledger(url: str, now: Callable[[], datetime] = utc_now) -> AsyncIterator[SqlLedger]:
    """Open the ledger at a SQLAlchemy URL and make its tables where they are missing.

    SQLite runs with a write-ahead log and full sync: what was recorded survives a power cut. Raises
    `ConfigError` for an unusable URL, `LedgerUnavailable` when the database does not answer.
    """
    engine = _create_engine(url)
    ledger = SqlLedger(engine, now)
    try:
        async with ledger._transaction() as connection:  # noqa: SLF001 - same module
            await connection.run_sync(metadata.create_all)
        yield ledger
    finally:
        await engine.dispose()


def _create_engine(url: str) -> AsyncEngine:
    try:
        parsed = make_url(url)
        parsed = parsed.set(drivername=ASYNC_DRIVERS.get(parsed.drivername, parsed.drivername))
        if not parsed.drivername.startswith("sqlite"):
            return create_async_engine(parsed, pool_pre_ping=True)
        engine = create_async_engine(parsed, connect_args={"timeout": 15})
    except (ArgumentError, ImportError, ValueError) as error:
        msg = f"ledger.url cannot be used ({type(error).__name__}): sqlite:///sidecar.db is the default form"
        raise ConfigError(msg) from None
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    connection.isolation_level = None  # the driver's own BEGIN comes too late for a lock
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_immediate(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's Connection of an event
    """Take the write lock first: a read that later writes would otherwise fail as busy."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
