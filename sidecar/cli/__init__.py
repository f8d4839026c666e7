"""The commands, one small file each."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING

from sidecar import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, FAILED, WRONG_USE, ENVIRONMENT = 0, 1, 2, 3
"""Exit codes: skips, refusals and flags are done; a check failed; wrong use; the environment is not usable."""

COMMANDS = ("run", "demo", "draft", "extract", "review", "check", "ledger")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, run one command, return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    options = parser.parse_args(arguments)
    command = importlib.import_module(f"sidecar.cli.{options.command}")
    code: int = command.run(options)
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each command's file adds its own options."""
    parser = argparse.ArgumentParser(prog="sidecar", description="Drafts beside an EHR. It cannot sign.")
    parser.add_argument("--version", action="version", version=f"sidecar {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"sidecar.cli.{name}")
        module.add_parser(commands)
    return parser
