"""The notes of tests/corpus, and of the folder that the environment variable CORPUS names."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

DISCHARGE_SUMMARY = "18842-5"
CONSULT_NOTE = "11488-4"
HISTORY_AND_PHYSICAL = "34117-2"
PROGRESS_NOTE = "11506-3"
OPERATION_NOTE = "11504-8"
PROCEDURE_NOTE = "28570-0"
EMERGENCY_NOTE = "34111-5"
IMAGING_REPORT = "18748-4"


@dataclass(frozen=True, slots=True)
class CorpusNote:
    """One bare note. `id` is its path inside the corpus without suffix; `loinc` the type that fits it."""

    id: str
    path: Path
    media_type: str
    loinc: str | None

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", errors="replace")


def corpus_root() -> Path:
    """Return the committed corpus."""
    return Path(__file__).parent.parent / "corpus"


def notes(loinc: str | None = None) -> list[CorpusNote]:
    """Return the committed notes in the order of notes.tsv, all or those of one document type."""
    root = corpus_root()
    with (root / "notes.tsv").open(encoding="utf-8", newline="") as listed:
        rows = list(csv.DictReader(listed, delimiter="\t"))
    found = [
        CorpusNote(row["file"].removesuffix(".txt"), root / row["file"], "text/plain", row["loinc"] or None)
        for row in rows
    ]
    return [note for note in found if loinc is None or note.loinc == loinc]


def note(name: str) -> CorpusNote:
    """Return one committed note by the end of its id, such as ``copd-discharge-summary``."""
    return next(found for found in notes() if found.id.rsplit("/", 1)[-1] == name)


def all_notes() -> list[CorpusNote]:
    """Return every text file under the folder that CORPUS names, else the committed notes."""
    configured = os.environ.get("CORPUS")
    if not configured:
        return notes()
    root = Path(configured)
    files = sorted(root.rglob("*.txt"))
    return [CorpusNote(str(file.relative_to(root).with_suffix("")), file, "text/plain", None) for file in files]
