"""The commands, one small file each."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar import __version__
from sidecar.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, FAILED, WRONG_USE, ENVIRONMENT, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: skips, refusals and flags are done; a check failed; wrong use; the environment is not usable."""

COMMANDS = ("run", "demo", "draft", "extract", "review", "check", "ledger", "deadletter")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line, run one command, return its exit code.

    What is wrong with settings or input ends as one message that says what to do, never as a stack.
    Output that nobody reads any more is done; output that cannot be written is the environment's fault.
    """
    options = build_parser().parse_args(argv)
    command = importlib.import_module(f"sidecar.cli.{options.command}")
    try:
        code: int = command.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except ConfigError as error:
        print(f"sidecar: {error}", file=sys.stderr)
        return WRONG_USE
    except TransientError as error:
        print(f"sidecar: {error.code}: {error}", file=sys.stderr)
        return ENVIRONMENT
    except BrokenPipeError:
        _drop_output()
        return DONE  # the reader of our output has seen enough
    except OSError as error:
        _drop_output()
        print(f"sidecar: {type(error).__name__}: {error.strerror or 'failed'}", file=sys.stderr)
        return ENVIRONMENT
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _drop_output() -> None:
    """Send what is still buffered nowhere: the interpreter's own flush at exit would fail again, with a stack."""
    with suppress(OSError, ValueError, AttributeError):
        output = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each command's file adds its own options."""
    parser = argparse.ArgumentParser(prog="sidecar", description="Drafts beside an EHR. It cannot sign.")
    parser.add_argument("--version", action="version", version=f"sidecar {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"sidecar.cli.{name}")
        module.add_parser(commands)
    return parser


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that every command with settings has."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in YAML; else SIDECAR_CONFIG, else none")
