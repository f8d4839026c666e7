from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.cli import DONE, WRONG_USE, main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = "HPI: She came with a cough. Potassium 5.9.\nALLERGIES: Sulfa (rash).\n"


def run(*arguments: str) -> int:
    return main(["review", *arguments])


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], list[Any]]:
    """Send text to `sidecar review --jsonl` and read its lines."""

    def reviewed(text: str) -> list[Any]:
        standard_input = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
        monkeypatch.setattr("sys.stdin", standard_input)
        assert run("--jsonl") == DONE
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return reviewed


def test_two_files_give_one_object_of_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, draft = tmp_path / "note.txt", tmp_path / "draft.txt"
    source.write_text(SOURCE)
    draft.write_text("- She came with a cough. [1]\n- Potassium 6.9. [2]\n")
    assert run("--source", str(source), "--draft", str(draft)) == DONE
    found = json.loads(capsys.readouterr().out)
    allergy = SOURCE.index("Sulfa")
    potassium = SOURCE.index("5.9")
    assert found == {
        "id": "draft.txt",
        "statements": [
            {
                "start": 2,
                "end": 24,
                "verdict": "supported",
                "findings": [],
                "evidence": [[SOURCE.index("She"), SOURCE.index("She") + 22]],
            },
            {
                "start": 31,
                "end": 45,
                "verdict": "contradicted",
                "findings": [
                    {
                        "code": "number",
                        "severity": "error",
                        "draft_span": [41, 44],
                        "source_span": [potassium, potassium + 3],
                        "message": "The note says 5.9 here, the draft says 6.9.",
                    }
                ],
                "evidence": [[SOURCE.index("Potassium"), potassium + 4]],
            },
        ],
        "not_carried_over": [
            {"kind": "allergy", "text": "Sulfa (rash)", "source_span": [allergy, allergy + len("Sulfa (rash)")]}
        ],
        "verdict": "flagged",
    }


def test_lines_are_answered_one_by_one_in_order_whatever_they_hold(lines: Callable[[str], list[Any]]) -> None:
    good = {"id": "a", "source": SOURCE, "draft": "She came with a cough. Allergic to sulfa."}
    found = lines("\n".join([json.dumps(good), "{", "[]", '{"id": 3}', '{"id": "s", "source": 1, "draft": ""}']))
    assert [(line["id"], line.get("reason"), line["verdict"]) for line in found] == [
        ("a", None, "clean"),
        (None, "not-json", "blocked"),
        (None, "invalid-line", "blocked"),
        (3, "invalid-line", "blocked"),
        ("s", "invalid-line", "blocked"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "Potassium 5.9.\r\nShe walks.\r\n",
        "\ufeffPotassium 5.9.\rShe walks.",
        "Potassium 5.9.\x0cShe walks.\x00",
        "{\\rtf1 Potassium 5.9.}\nShe walks.",
        "<html>\nPotassium 5.9.\nShe walks.",
        "\ud83d\ude00 Potassium 5.9.\nShe walks.",
        "\ud800 Potassium 5.9.\nShe walks.",
    ],
)
def test_offsets_are_those_of_the_texts_as_given(lines: Callable[[str], list[Any]], source: str) -> None:
    (found,) = lines(json.dumps({"id": 1, "source": source, "draft": "She walks.\r\n\r\nPotassium 6.9.\r\n"}))
    source = json.loads(json.dumps(source))
    wrong = found["statements"][1]
    assert "She walks.\r\n\r\nPotassium 6.9.\r\n"[wrong["start"] : wrong["end"]] == "Potassium 6.9."
    assert [source[slice(*finding["source_span"])] for finding in wrong["findings"]] == ["5.9"]


def test_blank_texts_are_blocked_not_refused(lines: Callable[[str], list[Any]]) -> None:
    (found,) = lines(json.dumps({"id": "b", "source": " \n", "draft": "She walks."}))
    assert [statement["verdict"] for statement in found["statements"]] == ["unsupported"]
    assert found["verdict"] == "blocked"
    (found,) = lines(json.dumps({"id": "b", "source": "She walks.", "draft": ""}))
    assert (found["statements"], found["verdict"]) == ([], "blocked")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture holds no state between examples
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_are_answered_with_spans_inside_them(
    lines: Callable[[str], list[Any]], source: str, draft: str
) -> None:
    (found,) = lines(json.dumps({"id": 0, "source": source, "draft": draft}))
    for statement in found["statements"]:
        assert 0 <= statement["start"] < statement["end"] <= len(draft)
        assert all(0 <= start < end <= len(source) for start, end in statement["evidence"])


@pytest.mark.parametrize("arguments", [(), ("--source", "x"), ("--jsonl", "--source", "x", "--draft", "y")])
def test_wrong_use_is_told_on_stderr(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == WRONG_USE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "--jsonl" in captured.err


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--source", str(tmp_path / "no"), "--draft", str(tmp_path / "no")) == WRONG_USE
    assert "cannot read" in capsys.readouterr().err
