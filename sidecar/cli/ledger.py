"""`sidecar ledger`: what was drafted, what waits for a person, and bringing parked work back."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli import DONE, FAILED, add_config
from sidecar.errors import ConfigError, LedgerUnavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from sidecar.ledger.ledger import Entry
    from sidecar.ledger.sql import SqlLedger

COLUMNS = ("draft_id", "state", "task", "source", "source_version", "target", "reason", "updated")


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    parser = commands.add_parser("ledger", help="list, show and retry what the ledger holds")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="one line a draft")
    listing.add_argument("--state", metavar="S", help="only this state, such as parked, filed, unknown, attention")
    listing.add_argument("--jsonl", action="store_true", help="one JSON object a line")
    show = actions.add_parser("show", help="everything about one draft, as JSON")
    show.add_argument("id", metavar="ID", help="a draft id, or its first characters")
    retry = actions.add_parser("retry", help="make parked work due now; a running worker takes it up")
    which = retry.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", metavar="ID", help="a draft id, or its first characters")
    which.add_argument("--reason", metavar="R", help="all work parked for this reason")
    for action in (listing, show, retry):
        add_config(action)


def run(options: argparse.Namespace) -> int:
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from sidecar.ledger.sql import open_ledger
    from sidecar.settings import load_settings

    actions = {"list": _list, "show": _show, "retry": _retry}
    url = load_settings(options.config).ledger.url
    require_ledger_file(url)
    async with open_ledger(url) as ledger:
        return await actions[options.action](ledger, options)


def require_ledger_file(url: str) -> None:
    """Raise `LedgerUnavailable` where a SQLite ledger is not there: opening it would make an empty one.

    SQLite writes its log beside the file, so that the folder must be writable for reading too. Other databases, and
    URLs that `open_ledger` refuses, pass.
    """
    path = _sqlite_file(url)
    if path is None:
        return
    if not path.parent.is_dir():
        raise LedgerUnavailable(f"the folder {path.parent} of ledger.url does not exist")
    if not path.is_file():
        raise LedgerUnavailable(f"there is no ledger at {path}; `sidecar run` makes it, ledger.url names it")
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise LedgerUnavailable(f"{path} and its folder must be writable for this user")


def _sqlite_file(url: str) -> Path | None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    database = parsed.database or ":memory:"
    if parsed.get_backend_name() != "sqlite" or database == ":memory:" or database.startswith("file:"):
        return None
    return Path(database).absolute()


async def _list(ledger: SqlLedger, options: argparse.Namespace) -> int:
    from sidecar.ledger.ledger import State

    if options.state is not None and options.state not in list(State):
        raise ConfigError(f"no state '{options.state}'; states: {', '.join(State)}")
    entries = await ledger.list_entries(State(options.state) if options.state else None)
    rows = [_row(entry) for entry in entries]
    if options.jsonl:
        for row in rows:
            print(json.dumps(row))
    else:
        _print_table(rows)
    return DONE


async def _show(ledger: SqlLedger, options: argparse.Namespace) -> int:
    entry = await _find(ledger, options.id)
    if entry is None:
        return _none(options.id)
    more = {
        "server": entry.key.server,
        "target_version": entry.target_version,
        "text_digest": entry.text_digest,
        "attempts": entry.attempts,
        "retry_at": entry.retry_at.isoformat() if entry.retry_at else None,
        "created": entry.created.isoformat(),
    }
    print(json.dumps(_row(entry) | more, indent=2))
    return DONE


async def _retry(ledger: SqlLedger, options: argparse.Namespace) -> int:
    entry = await _find(ledger, options.id) if options.id else None
    count = await ledger.retry(draft_id=entry.draft_id if entry else options.id, reason=options.reason)
    if count == 0:
        return _none(options.id or options.reason)
    print(f"{count} due now")
    return DONE


async def _find(ledger: SqlLedger, name: str) -> Entry | None:
    """Return the entry of a draft id or of the only one that begins so: drafts print eight characters.

    Raises `ConfigError` where several do.
    """
    if not name:
        return None
    if exact := await ledger.get(name):
        return exact
    found = [entry for entry in await ledger.list_entries() if entry.draft_id.startswith(name)]
    if len(found) > 1:
        raise ConfigError(f"{len(found)} draft ids begin with '{name}'; give more of it")
    return found[0] if found else None


def _none(what: str) -> int:
    print(
        f"sidecar: nothing parked or filed under '{what}'; `sidecar ledger list` shows what there is", file=sys.stderr
    )
    return FAILED


def _row(entry: Entry) -> dict[str, str | None]:
    return {
        "draft_id": entry.draft_id,
        "state": entry.state.value,
        "task": entry.key.task,
        "source": entry.key.source,
        "source_version": entry.key.source_version,
        "target": entry.target,
        "reason": entry.reason,
        "updated": entry.updated.isoformat(),
    }


def _print_table(rows: Iterable[dict[str, str | None]]) -> None:
    lines = [COLUMNS, *(tuple(row[name] or "-" for name in COLUMNS) for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(COLUMNS))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
