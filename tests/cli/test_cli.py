from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.ledger.ledger import Key
from sidecar.ledger.sql import open_ledger

HEAVY = (
    "aiokafka",
    "fhir",
    "httpx",
    "lxml",
    "opentelemetry",
    "pydantic",
    "resiliparse",
    "sqlalchemy",
    "starlette",
    "yaml",
)


def test_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, sidecar.cli; sidecar.cli.build_parser(); print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "sidecar", "--version"], check=True, capture_output=True, text=True)
    assert done.stdout.startswith("sidecar 0.")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["ledger"], ["ledger", "retry"]])
def test_wrong_use_exits_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_wrong_settings_are_one_message_and_exit_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIDECAR_MODUS", "x")
    assert main(["run"]) == 2
    assert "did you mean 'SIDECAR_MODE'" in capsys.readouterr().err


@pytest.fixture
async def ledger_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    async with open_ledger(url) as ledger:
        await ledger.park("d1", Key("http://e", "DocumentReference/a", "1", "summary"), "no-content", None)
    monkeypatch.setenv("SIDECAR_LEDGER__URL", url)
    return url


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sidecar", *arguments], capture_output=True, text=True, check=False)


async def test_ledger_list_show_and_retry(ledger_url: str) -> None:
    (line,) = run("ledger", "list", "--jsonl").stdout.splitlines()
    row = json.loads(line)
    assert set(row) == {"draft_id", "state", "task", "source", "source_version", "target", "reason", "updated"}
    assert (row["state"], row["reason"], row["source"]) == ("parked", "no-content", "DocumentReference/a")
    assert run("ledger", "list", "--state", "filed", "--jsonl").stdout == ""
    assert "no-content" in run("ledger", "list").stdout
    assert json.loads(run("ledger", "show", "d1").stdout)["server"] == "http://e"
    assert run("ledger", "retry", "d1").returncode == 0
    assert run("ledger", "retry", "--reason", "no-content").stdout == "1 due now\n"


async def test_the_ledger_says_when_there_is_nothing(ledger_url: str) -> None:
    assert run("ledger", "show", "none").returncode == 1
    assert run("ledger", "retry", "none").returncode == 1
    wrong = run("ledger", "list", "--state", "nonsense")
    assert wrong.returncode == 2
    assert "parked" in wrong.stderr
