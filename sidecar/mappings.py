"""What a hospital edits without Python: tasks, note types, labels, lexicons, EHR profiles.

The packaged files lie in `mappings/` of a checkout and in `sidecar/_mappings/` of a wheel. An overlay
folder of the same layout replaces files of the same name and adds new ones. JSON Schemas are always
the packaged ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.checked_yaml import Marks, did_you_mean, load_yaml, mapping_error, validate
from sidecar.drafting.task import Coding, Task, TaskKind, TaskSection
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDERS = ("ehr", "notes", "tasks", "prompts", "models", "lexicons")
ANY_SYSTEM = "*"
_SUFFIXES = (".yaml", ".yml")

_CONFIDENTIALITY = "http://terminology.hl7.org/codesystem/v3-confidentiality"
_ACT_CODE = "http://terminology.hl7.org/codesystem/v3-actcode"
_TABLE_0177 = "http://terminology.hl7.org/codesystem/v2-0177"
# Other names of the label systems, as `label_key` sees them: OIDs of CDA and HL7 v2, URIs of DSTU2 and STU3.
_SYSTEM_NAMES = {
    "2.16.840.1.113883.5.25": _CONFIDENTIALITY,
    "http://hl7.org/fhir/v3/confidentiality": _CONFIDENTIALITY,
    "2.16.840.1.113883.5.4": _ACT_CODE,
    "http://hl7.org/fhir/v3/actcode": _ACT_CODE,
    "2.16.840.1.113883.12.177": _TABLE_0177,
    "http://hl7.org/fhir/v2/0177": _TABLE_0177,
    "http://hl7.org/fhir/table/0177": _TABLE_0177,
}


@dataclass(frozen=True, slots=True)
class NoteType:
    """One kind of document that gets a draft: `system` and `code` of DocumentReference.type."""

    system: str
    code: str
    display: str
    task: Task


@dataclass(frozen=True, slots=True)
class Mappings:
    """All tasks, note types and restricted labels, loaded and checked against each other.

    `note_types` is keyed by (system, code); the task of a type carries the overrides of its file.
    `restricted` holds security labels as `label_key` writes them; ask `is_restricted`.
    """

    tasks: Mapping[TaskKind, Task]
    note_types: Mapping[tuple[str, str], NoteType]
    restricted: frozenset[tuple[str, str]]
    overlay: Path | None = None

    @classmethod
    def load(cls, overlay: Path | None = None) -> Mappings:
        """Read the packaged mappings and the overlay over them. Raises `ConfigError`."""
        _check_overlay(overlay)
        tasks = dict(_load_task(path) for path in _files("tasks", overlay))
        note_types, restricted = _load_notes(tasks, overlay)
        return cls(tasks, note_types, restricted, overlay)

    def is_restricted(self, system: str | None, code: str) -> bool:
        """Say whether a security label forbids a draft: under its system, or whatever its system is."""
        return not self.restricted.isdisjoint((label_key(system, code), label_key(ANY_SYSTEM, code)))

    def profile(self, name: str) -> dict[str, Any]:
        """Return the EHR capability profile `name`. Raises `ConfigError`."""
        return _load_named("ehr", name, "ehr-profile", self.overlay)

    def lexicon(self, name: str) -> dict[str, Any]:
        return load_lexicon(name, self.overlay)


def load_lexicon(name: str, overlay: Path | None = None) -> dict[str, Any]:
    """Return a lexicon, checked by `lexicon-<name>.schema.json`. Not cached. Raises `ConfigError`."""
    return _load_named("lexicons", name, f"lexicon-{name}", overlay)


def packaged_root() -> Path:
    """Return the folder of the packaged mappings, in a wheel or in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "_mappings"
    return installed if installed.is_dir() else package.parent / "mappings"


def label_key(system: str | None, code: str) -> tuple[str, str]:
    """Return a security label in the one form in which labels are compared.

    Letter case, trailing slashes, versions (`|2.0`), OIDs and the URIs of older releases of FHIR differ
    among senders, and a label missed for that is worse than one taken too often.
    """
    name = (system or "").split("|")[0].strip().rstrip("/").lower().removeprefix("urn:oid:")
    name = name.replace("https://", "http://", 1)
    return _SYSTEM_NAMES.get(name, name), code.strip().upper()


def _files(folder: str, overlay: Path | None) -> list[Path]:
    """Return the files of one folder in name order, those of the overlay in place of packaged ones."""
    found: dict[str, Path] = {}
    for root in (packaged_root(), overlay):
        if root is not None:
            found |= {path.stem: path for path in sorted((root / folder).glob("*")) if path.suffix in _SUFFIXES}
    return [found[name] for name in sorted(found)]


def _load_named(folder: str, name: str, schema: str, overlay: Path | None) -> dict[str, Any]:
    paths = {path.stem: path for path in _files(folder, overlay)}
    if name not in paths:
        raise ConfigError(f"mappings/{folder}: there is no '{name}'{did_you_mean(name, list(paths))}")
    data, _ = _load_checked(paths[name], schema)
    return data


def _load_checked(path: Path, schema: str) -> tuple[dict[str, Any], Marks]:
    data, marks = load_yaml(path)
    if not isinstance(data, dict):
        raise mapping_error(shown(path), 1, "the file must hold a block of keys")
    schema_path = packaged_root() / "schemas" / f"{schema}.schema.json"
    if schema_path.is_file():
        validate(data, schema_path, shown(path), marks)
    return data, marks


def shown(path: Path) -> str:
    """Return the path as errors name it: packaged files from `mappings/` on, others in full."""
    root = packaged_root()
    return f"mappings/{path.relative_to(root).as_posix()}" if path.is_relative_to(root) else str(path)


def _check_overlay(overlay: Path | None) -> None:
    """Refuse a folder that would be overlooked: a typing error there must not bring back a default."""
    if overlay is None:
        return
    if not overlay.is_dir():
        raise ConfigError(f"{overlay}: mappings.dir is not a folder")
    for entry in sorted(overlay.iterdir()):
        if entry.is_dir() and not entry.name.startswith(".") and entry.name not in FOLDERS:
            hint = did_you_mean(entry.name, list(FOLDERS)) or f"; known are {', '.join(FOLDERS)}"
            raise ConfigError(f"{entry}: mappings have no folder '{entry.name}'{hint}")


def _load_task(path: Path) -> tuple[TaskKind, Task]:
    data, marks = load_yaml(path)
    if isinstance(data, dict):
        _refuse_unknown_kind(data, marks, path)
    data, marks = _load_checked(path, "task")
    kind = TaskKind(data["kind"])
    if kind.value != path.stem:
        raise mapping_error(shown(path), marks["kind",], f"the task '{kind.value}' belongs in {kind.value}.yaml")
    return kind, _task(kind, data)


def _refuse_unknown_kind(data: Mapping[str, Any], marks: Marks, path: Path) -> None:
    """Say the reason, not only that a schema is broken: the list of kinds is the product's scope."""
    kinds = [kind.value for kind in TaskKind]
    if "kind" in data and data["kind"] not in kinds:
        message = (
            f"'{data['kind']}' is not a task: there is no task kind for diagnosis, treatment advice or "
            f"drug interaction; kinds are {', '.join(kinds)}"
        )
        raise mapping_error(shown(path), marks["kind",], message)


def _task(kind: TaskKind, data: Mapping[str, Any]) -> Task:
    return Task(
        kind=kind,
        title=data["title"],
        type=Coding(**data["type"]),
        category=Coding(**data["category"]),
        sections=tuple(_task_section(section) for section in data["sections"]),
        min_words=data["min_words"],
        max_words=data["max_words"],
        max_age_days=data["max_age_days"],
        languages=tuple(data["languages"]),
    )


def _task_section(section: Mapping[str, Any]) -> TaskSection:
    return TaskSection(
        title=section["title"],
        from_sections=tuple(section.get("from_sections", ())),
        topics=tuple(section.get("topics", ())),
        max_statements=section["max_statements"],
    )


def _load_notes(
    tasks: Mapping[TaskKind, Task], overlay: Path | None
) -> tuple[dict[tuple[str, str], NoteType], frozenset[tuple[str, str]]]:
    types: dict[tuple[str, str], NoteType] = {}
    places: dict[tuple[str, str], str] = {}
    restricted: set[tuple[str, str]] = set()
    for path in _files("notes", overlay):
        data, marks = _load_checked(path, "note-types")
        restricted.update(_labels(data))
        for line, note_type in _note_types(data, marks, path, tasks):
            key = (note_type.system, note_type.code)
            if key in types:
                message = f"{note_type.code} is mapped already, in {places[key]}; keep one"
                raise mapping_error(shown(path), line, message)
            types[key], places[key] = note_type, f"{shown(path)}:{line}"
    return types, frozenset(restricted)


def _note_types(
    data: Mapping[str, Any], marks: Marks, path: Path, tasks: Mapping[TaskKind, Task]
) -> Iterator[tuple[int, NoteType]]:
    if "types" not in data:
        return
    task = tasks.get(TaskKind(data["task"]))
    if task is None:
        message = f"there is no mappings/tasks/{data['task']}.yaml for these types"
        raise mapping_error(shown(path), marks["task",], message)
    family = _overridden(task, data)
    for index, entry in enumerate(data["types"]):
        system = entry.get("system", data["system"])
        note_type = NoteType(system, entry["code"], entry["display"], _overridden(family, entry))
        yield marks["types", index], note_type


def _overridden(task: Task, entry: Mapping[str, Any]) -> Task:
    """Return the task with the overrides of a file or of one type; those of the type are applied last."""
    overrides = dict(entry.get("overrides", {}))
    if "sections" in overrides:
        overrides["sections"] = tuple(_task_section(section) for section in overrides["sections"])
    return replace(task, **overrides)


def _labels(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for group in data.get("restricted", ()):
        for system in (group["system"], *group.get("also", ())):
            for entry in group["codes"]:
                yield label_key(system, entry["code"])
