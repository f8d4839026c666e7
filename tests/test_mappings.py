"""Mappings load as packaged, overlay by file name, and name file and line of every mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sidecar.checked_yaml import load_yaml
from sidecar.drafting.task import TaskKind
from sidecar.errors import ConfigError
from sidecar.mappings import Mappings, label_key, load_lexicon, packaged_root

if TYPE_CHECKING:
    from collections.abc import Callable

LOINC = "http://loinc.org"
TASK = (packaged_root() / "tasks" / "summary.yaml").read_text()


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return tmp_path

    return write


def load_error(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        Mappings.load(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "code", ["18842-5", "34105-7", "11506-3", "34117-2", "11488-4", "28570-0", "34111-5", "11504-8"]
)
def test_the_clinical_note_types_are_drafted_by_the_summary_task(code: str) -> None:
    assert Mappings.load().note_types[LOINC, code].task.kind is TaskKind.SUMMARY


@pytest.mark.parametrize("path", sorted((packaged_root() / "notes").glob("*-*.yaml")), ids=lambda path: path.stem)
def test_every_type_stands_in_the_file_of_its_family(path: Path) -> None:
    family = {
        "consult-note": "consult note",
        "discharge-summary": "discharge summary",
        "emergency-note": "emergency",
        "history-and-physical": "history and physical note",
        "operative-note": "operation note",
        "procedure-note": "procedure note",
        "progress-note": "progress note",
    }[path.stem]
    data, _ = load_yaml(path)
    assert [entry["display"] for entry in data["types"] if family not in entry["display"].lower()] == []


@pytest.mark.parametrize("code", ["34788-0", "59259-2", "28627-8", "68612-1", "28656-7", "18748-4", "11502-2"])
def test_restricted_kinds_and_reports_are_not_mapped(code: str) -> None:
    assert (LOINC, code) not in Mappings.load().note_types


def test_the_draft_of_a_summary_is_a_summary_note_in_the_us_core_category() -> None:
    task = Mappings.load().tasks[TaskKind.SUMMARY]
    assert (task.type.system, task.type.code) == (LOINC, "68608-9")
    assert task.category.code == "clinical-note"
    assert task.max_age_days is None


def test_a_family_of_notes_overrides_what_the_task_says() -> None:
    mappings = Mappings.load()
    discharge, progress = (mappings.note_types[LOINC, code].task for code in ("18842-5", "11506-3"))
    assert discharge.sections[0].title == "WHY ADMITTED"
    assert progress.sections[0].title == "WHY SEEN"
    assert discharge.max_words > progress.max_words


def test_every_schema_is_itself_valid_and_closed() -> None:
    import jsonschema

    for path in sorted((packaged_root() / "schemas").glob("*.json")):
        schema = json.loads(path.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False, path.name


@pytest.mark.parametrize("name", ["clinical-cues", "medication-cues", "reference-ranges"])
def test_a_packaged_lexicon_loads(name: str) -> None:
    assert load_lexicon(name)


def test_a_file_of_the_overlay_replaces_the_packaged_one_of_that_name(overlay: Callable[[str, str], Path]) -> None:
    folder = overlay("tasks/summary.yaml", TASK.replace("max_words: 300", "max_words: 90"))
    mappings = Mappings.load(folder)
    assert mappings.tasks[TaskKind.SUMMARY].max_words == 90
    assert (LOINC, "11506-3") in mappings.note_types


def test_a_hospital_adds_its_local_codes_in_a_file_of_its_own(overlay: Callable[[str, str], Path]) -> None:
    local = """
task: summary
system: urn:oid:1.2.840.114350.1.13.0.1.7.4
types:
  - { code: 0012, display: Oncology clinic note, overrides: { max_words: 120, max_age_days: 30 } }
"""
    mappings = Mappings.load(overlay("notes/our-codes.yaml", local))
    note_type = mappings.note_types["urn:oid:1.2.840.114350.1.13.0.1.7.4", "0012"]
    assert (note_type.task.max_words, note_type.task.max_age_days) == (120, 30)
    assert (LOINC, "18842-5") in mappings.note_types


def test_an_unknown_key_names_file_line_and_the_nearest_known_one(overlay: Callable[[str, str], Path]) -> None:
    line = TASK.splitlines().index(next(line for line in TASK.splitlines() if line.startswith("max_words"))) + 1
    folder = overlay("tasks/summary.yaml", TASK.replace("max_words:", "max_wrds:"))
    assert (
        load_error(folder) == f"{folder}/tasks/summary.yaml:{line}: 'max_wrds' is not known, did you mean 'max_words'?"
    )


@pytest.mark.parametrize("kind", ["diagnosis", "treatment-advice", "drug-interaction"])
def test_a_task_kind_out_of_scope_is_refused_with_the_reason(overlay: Callable[[str, str], Path], kind: str) -> None:
    message = load_error(overlay(f"tasks/{kind}.yaml", TASK.replace("kind: summary", f"kind: {kind}")))
    assert f"{kind}.yaml:3: '{kind}' is not a task" in message
    assert "there is no task kind for diagnosis, treatment advice or drug interaction" in message


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("title: Summary\n", "", ":1: 'title' is missing here"),
        ("title: Summary\n", "title: 12\n", ":4: 'title' must be text (put it in quotes)"),
        ("min_words: 20", "min_words: twenty", "'min_words' must be a whole number"),
        ("max_words: 300", "max_words: 1", "'max_words': 1 is less than the minimum of 20"),
        ("languages: [en]", "languages: [english]", "does not match"),
        (
            "kind: summary\n",
            "kind: summary\nkind: summary\n",
            ":4: 'kind' stands here again, first on line 3; keep one",
        ),
        ("languages: [en]", "languages: [en", "this is not YAML"),
        ("languages: [en]", "languages: &x [en]\nnames: *x", "anchors (&, *) are not used here"),
        ("title: Summary\n", "title: !!python/object/apply:os.getcwd []\n", "must be text"),
    ],
)
def test_a_mistake_in_a_task_is_named(
    overlay: Callable[[str, str], Path], before: str, after: str, complaint: str
) -> None:
    assert before in TASK
    assert complaint in load_error(overlay("tasks/summary.yaml", TASK.replace(before, after)))


def test_a_task_in_a_file_of_another_name_is_refused(overlay: Callable[[str, str], Path]) -> None:
    message = load_error(overlay("tasks/sumary.yaml", TASK))
    assert message.endswith("sumary.yaml:3: the task 'summary' belongs in summary.yaml")


def test_a_type_in_two_files_names_both_places(overlay: Callable[[str, str], Path]) -> None:
    again = "task: summary\nsystem: http://loinc.org\ntypes:\n  - { code: 18842-5, display: Discharge }\n"
    message = load_error(overlay("notes/zz-again.yaml", again))
    assert "zz-again.yaml:4: 18842-5 is mapped already, in mappings/notes/discharge-summary.yaml:" in message


def test_types_of_a_task_without_a_file_are_refused(overlay: Callable[[str, str], Path]) -> None:
    text = "task: glossary\nsystem: urn:x\ntypes:\n  - { code: A, display: B }\n"
    assert "there is no mappings/tasks/glossary.yaml for these types" in load_error(overlay("notes/local.yaml", text))


def test_a_misspelt_folder_of_the_overlay_is_not_overlooked(overlay: Callable[[str, str], Path]) -> None:
    assert "mappings have no folder 'task', did you mean 'tasks'?" in load_error(overlay("task/summary.yaml", TASK))


def test_an_overlay_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    assert load_error(tmp_path / "absent").endswith("mappings.dir is not a folder")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "summary.yaml").write_bytes(b"title: \xff")
    assert "save it as UTF-8" in load_error(tmp_path)


def test_words_that_yaml_1_1_would_change_stay_words(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("words: [no, NO, yes, on, 2026-01-01, 12:30, 0012, 1e3, true, 1.5, 7, null]\n")
    data, marks = load_yaml(path)
    assert data["words"] == ["no", "NO", "yes", "on", "2026-01-01", "12:30", "0012", "1e3", True, 1.5, 7, None]
    assert marks["words", 3] == 1


def test_an_absent_lexicon_or_profile_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="there is no 'clinical-cue', did you mean 'clinical-cues'"):
        load_lexicon("clinical-cue")
    with pytest.raises(ConfigError, match="mappings/ehr: there is no 'nowhere'"):
        Mappings.load().profile("nowhere")


def test_restricted_labels_of_all_files_add_up(overlay: Callable[[str, str], Path]) -> None:
    extra = "restricted:\n  - system: urn:hospital:labels\n    codes:\n      - { code: VIP-WARD, display: ward }\n"
    restricted = Mappings.load(overlay("notes/our-labels.yaml", extra)).restricted
    assert label_key("urn:hospital:labels", "vip-ward") in restricted
    assert label_key("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R") in restricted
