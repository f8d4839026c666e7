"""The generated parts of the README: `python -m tests.support.readme` writes them, a test compares them."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sidecar.cli import build_parser
from sidecar.settings import Settings

README = Path(__file__).parents[2] / "README.md"


def render(text: str) -> str:
    """Return the README with its tables made anew from the code."""
    for name, content in (("commands", commands_table()), ("settings", settings_table())):
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda match, content=content: f"{match[1]}{content}{match[2]}", text)
    return text


def commands_table() -> str:
    rows = ["| command | does |", "|---|---|"]
    rows += [f"| `sidecar {name}` | {help_text} |" for name, help_text in _commands(build_parser())]
    return "\n".join(rows) + "\n"


def _commands(parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, sub in action.choices.items():
                inner = _commands(sub)
                found += [(f"{name} {more}", text) for more, text in inner] or [(_usage(name, sub), helps[name])]
    return found


def _usage(name: str, parser: argparse.ArgumentParser) -> str:
    usage = parser.format_usage().split(f"{parser.prog} ", 1)[-1]
    options = " ".join(usage.split()).replace("[-h]", "").strip()
    return f"{name} {options}".strip().replace("|", "\\|")


def settings_table() -> str:
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, info in Settings.model_fields.items():
        section = info.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            rows += [_row(f"{name}.{field}", item) for field, item in section.model_fields.items()]
        else:
            rows.append(_row(name, info))
    return "\n".join(rows) + "\n"


def _row(name: str, info: Any) -> str:
    default = info.default if info.default not in (None, ()) else "-"
    choices = getattr(info.annotation, "__args__", ())
    values = ", ".join(f"`{choice}`" for choice in choices if isinstance(choice, str))
    meaning = "; ".join(filter(None, (info.description, values)))
    return f"| `{name}` | {f'`{default}`' if default != '-' else '-'} | {meaning} |"


if __name__ == "__main__":
    README.write_text(render(README.read_text()))
