"""The built wheel works on its own, in a clean environment and another folder."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTE = (
    "CHIEF COMPLAINT: Cough.\n\nASSESSMENT: Community-acquired pneumonia, right lower lobe. Potassium was 5.9.\n\n"
    "PLAN: Start amoxicillin 500 mg three times a day for seven days. Follow up in two weeks. Return if fever.\n"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_contains_the_mappings_and_the_inbox_page(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "sidecar/_mappings/tasks/summary.yaml" in names
    assert "sidecar/_mappings/schemas/task.schema.json" in names
    assert any(name.startswith("sidecar/demo/page/") for name in names)
    assert any(name.startswith("sidecar/demo/notes/") for name in names)


@pytest.mark.timeout(300)
def test_the_installed_wheel_drafts_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, capture_output=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    locked = [*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")]
    subprocess.run(locked, check=True, capture_output=True)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, capture_output=True)
    (tmp_path / "note.txt").write_text(NOTE)
    done = subprocess.run(
        [str(home / "bin" / "sidecar"), "draft", "note.txt"], check=True, capture_output=True, cwd=tmp_path
    )
    drafted = json.loads(done.stdout)
    assert drafted["outcome"] == "drafted"
    assert "amoxicillin 500 mg" in drafted["text"]
