"""`sidecar demo`: everything embedded, on sample notes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli import DONE

if TYPE_CHECKING:
    import argparse


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    parser = commands.add_parser("demo", help="broker, demo EHR with inbox page and worker in one process")
    parser.add_argument("--once", action="store_true", help="a scripted clinician reviews three drafts, then exit")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="port of the inbox page (default: a free one)")
    parser.add_argument("--notes", type=Path, metavar="DIR", help="notes to publish instead of the samples")


def run(options: argparse.Namespace) -> int:
    import logging

    from sidecar.demo.run import run_demo, run_once
    from sidecar.telemetry.logs import configure_logging

    configure_logging(logging.WARNING)  # the demo prints its own lines
    try:
        return asyncio.run((run_once if options.once else run_demo)(options.notes, options.port))
    except KeyboardInterrupt:
        return DONE  # the way to end a demo
