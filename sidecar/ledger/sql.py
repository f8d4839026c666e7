"""The ledger on a SQL database, through SQLAlchemy."""

from __future__ import annotations

import os
import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, event, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

from sidecar.errors import ConfigError, LedgerUnavailable
from sidecar.ledger.ledger import LIVE, PERSON, Claimed, Entry, Key, Refusal, State, Unsettled
from sidecar.ledger.schema import drafts, metadata
from sidecar.versions import is_newer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
    from sqlalchemy.sql import ColumnElement

ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite"}
LEFT_ALONE = timedelta(hours=1)
"""A claim this old was left by a worker that died with parked work; taking it over fences whoever still has it."""
_UNSETTLED = (State.SENDING, State.UNKNOWN)
_UNDER_WAY = (State.CLAIMED, State.SENDING)
_OPEN_TO_OBSERVE = (*_UNSETTLED, State.FILED, State.EDITED, State.ATTENTION)
_NO_TARGET = dict.fromkeys(("target", "target_version", "text_digest", "replaces"))


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

    async def claim(self, draft_id: str, key: Key, *, replacing: bool) -> Claimed | Unsettled | Refusal:
        async with self._transaction() as connection:
            entries = await _select(connection, _same_source(key))
            same = next((entry for entry in entries if entry.draft_id == draft_id), None)
            others = [entry for entry in entries if entry.draft_id != draft_id]
            if same is not None and (answer := _judge_same(same)) is not None:
                return answer
            if (answer := _judge_others(key, others)) is not None:
                return answer
            if not replacing and any(entry.state is State.FILED for entry in others):
                return Refusal.DRAFT_OPEN
            await self._clear_older(connection, others)
            return await self._take(connection, _row(draft_id, key, self._now()), same, _draft_in_place(entries))

    async def _clear_older(self, connection: AsyncConnection, others: Sequence[Entry]) -> None:
        """Make room: the newest version wins over an open draft, and over older work that wrote nothing."""
        for entry in others:
            if entry.state is State.FILED:
                await self._change(connection, entry.draft_id, {"state": State.REPLACED})
            elif entry.state in (State.CLAIMED, State.PARKED):
                values = {"state": State.REPLACED, "reason": "superseded", "owner": None}
                await self._change(connection, entry.draft_id, _NO_TARGET | values)

    async def _take(
        self, connection: AsyncConnection, row: dict[str, Any], same: Entry | None, earlier: Entry | None
    ) -> Claimed:
        # What was parked keeps its reason and time: a worker that dies with it must not lose it.
        attempts = same.attempts if same is not None else 0
        draft_id, token = row["draft_id"], secrets.token_hex(16)
        values = {"state": State.CLAIMED, "owner": token, "attempts": attempts, **_target_of(earlier)}
        if same is None:
            await connection.execute(insert(drafts).values(**row, **values))
        else:
            await self._change(connection, draft_id, values)
        return Claimed(draft_id, token, attempts, earlier)

    async def start_sending(self, claim: Claimed, text_digest: str) -> bool:
        return await self._step(claim, (State.CLAIMED,), {"state": State.SENDING, "text_digest": text_digest})

    async def adopt(self, entry: Entry) -> Claimed | None:
        token = secrets.token_hex(16)
        async with self._transaction() as connection:
            result = await connection.execute(
                update(drafts)
                .where(drafts.c.draft_id == entry.draft_id, drafts.c.state.in_(_UNSETTLED))
                .where(drafts.c.updated == entry.updated)
                .values(state=State.CLAIMED, reason=None, retry_at=None, owner=token, updated=self._now())
            )
            earlier = await _select(connection, drafts.c.draft_id == entry.replaces)
        if result.rowcount != 1:
            return None
        return Claimed(entry.draft_id, token, earlier=earlier[0] if earlier else None)

    async def drop_target(self, claim: Claimed) -> bool:
        async with self._transaction() as connection:
            entry = await _ours(connection, claim, _UNDER_WAY)
            if entry is not None:
                await self._part(connection, entry, _kept(entry), State.DISCARDED)
        return entry is not None

    async def give_way(self, claim: Claimed, state: State, version: str | None, reason: str) -> None:
        async with self._transaction() as connection:
            entry = await _ours(connection, claim, _UNDER_WAY)
            if entry is not None:
                await self._part(connection, entry, _aside(State.ATTENTION, reason), state, target_version=version)

    async def _part(
        self, connection: AsyncConnection, entry: Entry, values: Mapping[str, Any], state: State, **more: object
    ) -> None:
        """Take `entry` off the draft that it was to replace; that draft's own row gets `state`.

        In this order: the database allows one live row at every moment.
        """
        await self._change(connection, entry.draft_id, {**_NO_TARGET, **values})
        await self._give_back(connection, entry, state, **more)

    async def _give_back(self, connection: AsyncConnection, entry: Entry, state: State, **more: object) -> None:
        await connection.execute(
            update(drafts)
            .where(drafts.c.draft_id == entry.replaces, drafts.c.state == State.REPLACED)
            .values(state=state, updated=self._now(), **more)
        )

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
        async with self._transaction() as connection:
            entry = await _ours(connection, claim, _UNSETTLED)
            if entry is not None:
                await self._part(connection, entry, _aside(State.PARKED, reason), State.FILED)

    async def release(self, claim: Claimed, *, wanted: bool) -> None:
        async with self._transaction() as connection:
            entry = await _ours(connection, claim, (State.CLAIMED,))
            if entry is None:
                return
            if wanted and entry.reason is not None:
                parked = _aside(State.PARKED, entry.reason) | {"retry_at": entry.retry_at or self._now()}
                await self._part(connection, entry, parked, State.FILED)
            else:
                await connection.execute(delete(drafts).where(drafts.c.draft_id == entry.draft_id))
                await self._give_back(connection, entry, State.FILED)

    async def begin_drafting(self, claim: Claimed) -> None:
        await self._step(claim, (State.CLAIMED,), {"attempts": drafts.c.attempts + 1})

    async def end_drafting(self, claim: Claimed) -> None:
        await self._step(claim, (State.CLAIMED,), {"attempts": 0})

    async def _step(self, claim: Claimed, states: Sequence[State], values: dict[str, Any]) -> bool:
        """Change the claim's row if it is still ours and in one of `states`."""
        async with self._transaction() as connection:
            result = await connection.execute(
                update(drafts).where(_is_ours(claim, states)).values(**values, updated=self._now())
            )
        return result.rowcount == 1

    async def _change(self, connection: AsyncConnection, draft_id: str, values: Mapping[str, Any]) -> None:
        changed = {**values, "updated": self._now()}
        await connection.execute(update(drafts).where(drafts.c.draft_id == draft_id).values(changed))

    async def park(self, draft_id: str, key: Key, reason: str, retry_at: datetime | None) -> None:
        await self._put_aside(draft_id, key, _aside(State.PARKED, reason) | {"retry_at": retry_at})

    async def record_attention(self, draft_id: str, key: Key, reason: str) -> None:
        await self._put_aside(draft_id, key, _aside(State.ATTENTION, reason))

    async def _put_aside(self, draft_id: str, key: Key, values: dict[str, Any]) -> None:
        """Insert, or change a row that wrote nothing; a row with a draft behind it is left alone."""
        async with self._transaction() as connection:
            found = await _select(connection, drafts.c.draft_id == draft_id)
            if not found:
                await connection.execute(insert(drafts).values(**_row(draft_id, key, self._now()), **values))
            elif found[0].state in (State.CLAIMED, State.PARKED):
                await self._part(connection, found[0], values, State.FILED)

    async def observe(self, draft_id: str, state: State, target: str, version: str | None) -> bool:
        seen: dict[str, str | None] = {"target": target, "target_version": version, "reason": None}
        async with self._transaction() as connection:
            result = await connection.execute(
                update(drafts)
                .where(drafts.c.draft_id == draft_id, drafts.c.state.in_(_OPEN_TO_OBSERVE))
                .values(state=state, **seen, updated=self._now())
            )
            if result.rowcount == 1:
                return True
            # A person was faster than the draft that was to replace this one.
            claims = await _select(connection, (drafts.c.replaces == draft_id) & (drafts.c.state == State.CLAIMED))
            for claim in claims:
                values = _kept(claim) if state is State.DISCARDED else _aside(State.ATTENTION, "source-amended")
                await self._part(connection, claim, values, state, **seen)
        return bool(claims)

    async def find_draft(self, target: str) -> Entry | None:
        async with self._transaction() as connection:
            entries = await _select(connection, drafts.c.target == target)
        holder = max(entries, key=lambda entry: (entry.state in LIVE, entry.created), default=None)
        if holder is None or holder.replaces is None or holder.state not in _UNDER_WAY:
            return holder
        return await self.get(holder.replaces)

    async def get(self, draft_id: str) -> Entry | None:
        async with self._transaction() as connection:
            found = await _select(connection, drafts.c.draft_id == draft_id)
        return found[0] if found else None

    async def list_entries(self, state: State | None = None) -> Sequence[Entry]:
        condition = drafts.c.state == state if state else drafts.c.state.is_not(None)
        async with self._transaction() as connection:
            return await _select(connection, condition)

    async def take_due(self, next_retry: datetime, limit: int) -> Sequence[Entry]:
        waiting = drafts.c.state.in_((State.PARKED, State.UNKNOWN, State.CLAIMED, State.SENDING))
        under_way = drafts.c.state.in_((State.CLAIMED, State.SENDING))
        left = under_way & (drafts.c.updated <= self._now() - LEFT_ALONE) & drafts.c.retry_at.is_(None)
        condition = (waiting & (drafts.c.retry_at <= self._now())) | left
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
        wanted = drafts.c.draft_id == draft_id if draft_id is not None else drafts.c.reason == reason
        async with self._transaction() as connection:
            result = await connection.execute(
                update(drafts)
                .where(drafts.c.state.in_((State.PARKED, State.UNKNOWN)), wanted)
                .values(retry_at=self._now())
            )
        return result.rowcount


async def _select(connection: AsyncConnection, condition: ColumnElement[bool]) -> Sequence[Entry]:
    query = select(drafts).where(condition).order_by(drafts.c.created, drafts.c.draft_id)
    return [entry_of(row) for row in (await connection.execute(query)).mappings()]


async def _ours(connection: AsyncConnection, claim: Claimed, states: Sequence[State]) -> Entry | None:
    found = await _select(connection, _is_ours(claim, states))
    return found[0] if found else None


def _is_ours(claim: Claimed, states: Sequence[State]) -> ColumnElement[bool]:
    return (drafts.c.draft_id == claim.draft_id) & (drafts.c.owner == claim.token) & drafts.c.state.in_(states)


def _same_source(key: Key) -> ColumnElement[bool]:
    return (drafts.c.server == key.server) & (drafts.c.source == key.source) & (drafts.c.task == key.task)


def _judge_same(same: Entry) -> Unsettled | Refusal | None:
    """Say whether the row of this very version stands in the way of a claim."""
    if same.state in (State.CLAIMED, State.PARKED):
        return None
    if same.state is State.ATTENTION:
        return Refusal.PERSON_WORKED
    return Unsettled(same) if same.state in _UNSETTLED else Refusal.HANDLED


def _judge_others(key: Key, others: Sequence[Entry]) -> Unsettled | Refusal | None:
    """Say whether rows of other versions of the same source stand in the way of a claim."""
    if any(is_newer(entry.key.source_version, key.source_version) for entry in others):
        return Refusal.SUPERSEDED
    if any(entry.state in PERSON for entry in others):
        return Refusal.PERSON_WORKED
    unsettled = next((entry for entry in others if entry.state in _UNSETTLED), None)
    return Unsettled(unsettled) if unsettled is not None else None


def _draft_in_place(entries: Sequence[Entry]) -> Entry | None:
    """Return the open draft of an earlier version: filed, or about to be replaced by a claim that is taken over."""
    awaited = {entry.replaces for entry in entries if entry.state is State.CLAIMED}
    return next((entry for entry in entries if entry.state is State.FILED or entry.draft_id in awaited), None)


def _target_of(earlier: Entry | None) -> dict[str, str | None]:
    if earlier is None:
        return _NO_TARGET
    return {
        "target": earlier.target,
        "target_version": earlier.target_version,
        "text_digest": earlier.text_digest,
        "replaces": earlier.draft_id,
    }


def _aside(state: State, reason: str) -> dict[str, Any]:
    return {"state": state, "reason": reason, "retry_at": None, "owner": None}


def _kept(entry: Entry) -> dict[str, Any]:
    """Change nothing but the target: what is being sent is still sent, as a draft of its own."""
    return {"text_digest": entry.text_digest}


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
        replaces=row["replaces"],
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
        _require_folder(parsed.database)
        engine = create_async_engine(parsed, connect_args={"timeout": 15})
    except (ArgumentError, ImportError, ValueError) as error:
        msg = f"ledger.url cannot be used ({type(error).__name__}): sqlite:///sidecar.db is the default form"
        raise ConfigError(msg) from None
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _require_folder(database: str | None) -> None:
    """Look before the driver does: aiosqlite leaves a thread behind when it cannot open a file."""
    folder = Path(database).absolute().parent if database and database != ":memory:" else None
    if folder is not None and not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        raise LedgerUnavailable(f"{folder} is no folder that can be written to")


def _configure_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    connection.isolation_level = None  # the driver's own BEGIN comes too late for a lock
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin_immediate(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's Connection of an event
    """Take the write lock first: a read that later writes would otherwise fail as busy."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
