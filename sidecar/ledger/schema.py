"""Tables of the ledger; the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Index, Integer, MetaData, String, Table, TypeDecorator, UniqueConstraint, text

from sidecar.ledger.ledger import LIVE

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """Aware in, aware out: SQLite itself forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ANN401, ARG002 - SQLAlchemy's signature
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ANN401, ARG002 - SQLAlchemy's signature
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


drafts = Table(
    "drafts",
    metadata,
    Column("draft_id", String(36), primary_key=True),
    Column("server", String, nullable=False),
    Column("source", String, nullable=False),
    Column("source_version", String, nullable=False),
    Column("task", String, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("target", String),
    Column("target_version", String),
    Column("text_digest", String(64)),
    Column("replaces", String(36)),
    Column("owner", String(32)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("retry_at", UtcDateTime),
    Column("created", UtcDateTime, nullable=False),
    Column("updated", UtcDateTime, nullable=False),
    UniqueConstraint("server", "source", "source_version", "task"),
)

_LIVE_STATES = text("state IN ({})".format(", ".join(f"'{state.value}'" for state in LIVE)))

# The database itself refuses a second live draft, whatever the code does.
Index(
    "one_live_draft",
    drafts.c.server,
    drafts.c.source,
    drafts.c.task,
    unique=True,
    sqlite_where=_LIVE_STATES,
    postgresql_where=_LIVE_STATES,
)
Index("by_target", drafts.c.target)
Index("by_retry", drafts.c.state, drafts.c.retry_at)
