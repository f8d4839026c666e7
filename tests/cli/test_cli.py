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


@pytest.fixture
async def two_drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    async with open_ledger(url) as ledger:
        for draft_id in ("5b7e41aa", "5b7e9c02"):
            key = Key("http://e", f"DocumentReference/{draft_id}", "1", "summary")
            await ledger.park(draft_id, key, "no-content", None)
    monkeypatch.setenv("SIDECAR_LEDGER__URL", url)


@pytest.mark.usefixtures("two_drafts")
async def test_the_first_characters_of_a_draft_id_name_it_where_no_other_begins_so() -> None:
    assert json.loads(run("ledger", "show", "5b7e4").stdout)["draft_id"] == "5b7e41aa"
    assert run("ledger", "retry", "5b7e9").stdout == "1 due now\n"
    for action in ("show", "retry"):
        unclear = run("ledger", action, "5b7e")
        assert (unclear.returncode, unclear.stdout) == (2, "")
        assert "2 draft ids begin with '5b7e'" in unclear.stderr
    assert run("ledger", "show", "").returncode == 1


@pytest.mark.usefixtures("two_drafts")
async def test_a_whole_draft_id_wins_over_longer_ones(tmp_path: Path) -> None:
    async with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        await ledger.park("5b7e", Key("http://e", "DocumentReference/s", "1", "summary"), "no-content", None)
    assert json.loads(run("ledger", "show", "5b7e").stdout)["source"] == "DocumentReference/s"


@pytest.mark.parametrize("action", [["list"], ["show", "d1"], ["retry", "d1"], ["retry", "--reason", "no-content"]])
@pytest.mark.parametrize("place", ["none.db", "none/ledger.db", "."])
def test_a_ledger_that_is_not_there_is_named_and_not_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    action: list[str],
    place: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIDECAR_LEDGER__URL", f"sqlite:///{place}")
    assert main(["ledger", *action]) == 3
    assert str((tmp_path / place).parent if "/" in place else tmp_path / place) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("two_drafts")
def test_a_ledger_in_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != tmp_path)  # as root everything is writable
    assert main(["ledger", "list"]) == 3
    assert f"{tmp_path / 'ledger.db'} and its folder must be writable" in capsys.readouterr().err


async def test_the_ledger_says_when_there_is_nothing(ledger_url: str) -> None:
    assert run("ledger", "show", "none").returncode == 1
    assert run("ledger", "retry", "none").returncode == 1
    wrong = run("ledger", "list", "--state", "nonsense")
    assert wrong.returncode == 2
    assert "parked" in wrong.stderr
