"""Moments on the command line."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime


def moment(text: str) -> datetime:
    """Read an ISO 8601 date or time for argparse; without an offset it is UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not an ISO 8601 time such as 2026-11-20T08:00:00+01:00") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
