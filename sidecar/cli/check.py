"""`sidecar check`: what stands between these settings and a running worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sidecar.cli import DONE, FAILED, add_config

if TYPE_CHECKING:
    import argparse


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    parser = commands.add_parser("check", help="check settings, mappings, Kafka, EHR and ledger; exit 1 on a fail")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    from sidecar.checkup import Grade, check_all

    results = asyncio.run(check_all(options.config))
    width = max(len(result.subject) for result in results)
    for result in results:
        print(f"{result.grade.value:4}  {result.subject.ljust(width)}  {result.message}")
    return FAILED if any(result.grade is Grade.FAIL for result in results) else DONE
