from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from sidecar.cli import build_parser
from sidecar.settings import load_settings
from tests.support.readme import README, render

TEXT = README.read_text()
ROOT = README.parent


def test_the_tables_of_commands_and_settings_are_those_of_the_code() -> None:
    assert render(TEXT) == TEXT, "run: .venv/bin/python -m tests.support.readme"


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE)) <= targets


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`(sidecar [a-z][^`|]*)`", TEXT.split("<!-- commands")[0]))))
def test_every_command_that_is_shown_is_understood(command: str) -> None:
    build_parser().parse_args(shlex.split(command)[1:])


def test_the_example_settings_are_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "sidecar.yaml"
    path.write_text(example)
    assert load_settings(path).mode == "live"


def test_every_link_leads_to_a_file() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


def test_the_exit_codes_are_those_of_the_code() -> None:
    from sidecar.cli import DONE, ENVIRONMENT, FAILED, WRONG_USE

    assert (DONE, FAILED, WRONG_USE, ENVIRONMENT) == (0, 1, 2, 3)


def test_changelog_and_version_agree() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert metadata["project"]["dynamic"] == ["version"]
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()
