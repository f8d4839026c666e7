"""Sample notes in invented charts: the ones that ship with the demo, or a folder of one's own.

The shipped notes are public (notes/ATTRIBUTION.md). Eleven are to be drafted; the others each show
one way in which a note is not drafted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.demo import charts
from sidecar.demo.charts import Person, Visit
from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = "text/plain; charset=utf-8"
MEDIA_TYPES = {
    ".txt": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".rtf": "text/rtf",
    ".pdf": "application/pdf",
    ".xml": "application/xml",
}

_TYPE_WORDS = {
    "discharge": "18842-5",
    "hp": "34117-2",
    "h&p": "34117-2",
    "history": "34117-2",
    "consult": "11488-4",
    "consultation": "11488-4",
    "procedure": "28570-0",
    "er": "34111-5",
    "ed": "34111-5",
    "emergency": "34111-5",
    "op": "11504-8",
    "operative": "11504-8",
    "surgery": "11504-8",
}
VISIT_LENGTH = timedelta(hours=3)

CLINICIAN = charts.practitioner("demo-clinician", "Demo Clinician")
AUTHORS = (
    charts.practitioner("dr-mockingham", "Dr. Ada Mockingham"),
    charts.practitioner("dr-sampleton", "Dr. Bo Sampleton"),
)

_EXAMPLE = Person("anna-example", "Anna", "Example", "female", 80)
_SPECIMEN = Person("bruno-specimen", "Bruno", "Specimen", "male", 65)
_PLACEHOLDER = Person("clara-placeholder", "Clara", "Placeholder", "female", 27)
_DEMOSON = Person("dirk-demoson", "Dirk", "Demoson", "male", 58)
_TESTCASE = Person("emil-testcase", "Emil", "Testcase", "male", 62)
_INVENTED = Person("frida-invented", "Frida", "Invented", "female", 85)
_MOCKUP = Person("george-mockup", "George", "Mockup", "male", 41)
_PSEUDONYM = Person("hilda-pseudonym", "Hilda", "Pseudonym", "female", 74)
_FICTIONAL = Person("ivan-fictional", "Ivan", "Fictional", "male", 53)
_MADEUP = Person("jo-madeup", "Jo", "Madeup", "female", 66)
_DUMMY = Person("kim-dummy", "Kim", "Dummy", "female", 14)
_NOBODY = Person("lars-nobody", "Lars", "Nobody", "male", 67)
PATIENTS = (
    _EXAMPLE, _SPECIMEN, _PLACEHOLDER, _DEMOSON, _TESTCASE,
    _INVENTED, _MOCKUP, _PSEUDONYM, _FICTIONAL, _MADEUP, _DUMMY, _NOBODY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """One shipped note. `changes` are laid over the document; `linked` puts the content into a Binary."""

    file: str
    type_code: str
    person: Person
    encounter_class: str = "IMP"
    changes: dict[str, Any] = field(default_factory=dict)
    linked: bool = False


SAMPLES = (
    Sample("gi-bleed-discharge-summary.txt", "18842-5", _EXAMPLE),
    Sample("discharge-summary-copd.html", "18842-5", _SPECIMEN),
    Sample("discharge-summary-cholelithiasis.txt", "18842-5", _PLACEHOLDER),
    Sample("laparoscopic-cholecystectomy-6.txt", "11504-8", _PLACEHOLDER),
    Sample("gen-med-progress-note-12.txt", "11506-3", _DEMOSON),
    Sample("tick-bite-progress-note.txt", "11506-3", _TESTCASE, "AMB"),
    Sample("colonoscopy-17.txt", "28570-0", _TESTCASE, "AMB"),
    Sample("hp-gen-med-1.txt", "34117-2", _INVENTED),
    Sample("cardiac-consultation-7.txt", "11488-4", _MOCKUP),
    Sample("nausea-er-visit.txt", "34111-5", _PSEUDONYM, "EMER"),
    Sample("consult-sepsis.txt", "11488-4", _FICTIONAL, linked=True),
    # not drafted, each for its own reason
    Sample("atrial-flutter-progress-note.txt", "11506-3", _NOBODY, changes={"status": "superseded"}),
    Sample("nephrolithiasis-progress-note.txt", "11506-3", _PSEUDONYM, "AMB", {"docStatus": "preliminary"}),
    Sample("school-physical-1.txt", "51851-4", _DUMMY, "AMB"),
    Sample(
        "renal-disease-discharge-summary.txt",
        "18842-5",
        _MOCKUP,
        changes={
            "meta": {
                "security": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
                        "code": "R",
                        "display": "restricted",
                    }
                ]
            }
        },
    ),
    Sample("general-surgery-umbilical-hernia.rtf", "11506-3", _MADEUP, "AMB"),
)
BLANK_ID = "blank-progress-note"


@dataclass(frozen=True, slots=True)
class Samples:
    """`chart` is to be loaded first: patients, clinicians, encounters, binaries. `documents` make the events."""

    chart: tuple[dict[str, Any], ...]
    documents: tuple[dict[str, Any], ...]


def load_samples(folder: Path | None = None, *, now: datetime | None = None) -> Samples:
    """Return the shipped samples, or those of `folder`, dated shortly before `now`.

    A folder may hold .txt, .html, .rtf, .pdf and .xml notes, which get an invented patient and
    encounter and a type guessed from the file's name, and DocumentReferences as .json, which are
    kept as they are, with the patient and encounter that they refer to. Raises `ConfigError` that
    names the file that cannot be used.
    """
    moment = now or datetime.now(UTC)
    return _shipped(moment) if folder is None else _from_folder(folder, moment)


def _shipped(now: datetime) -> Samples:
    chart = [*(charts.patient(person, now) for person in PATIENTS), CLINICIAN, *AUTHORS]
    documents = []
    for number, sample in enumerate(SAMPLES):
        written = now - timedelta(minutes=5 * (len(SAMPLES) - number))
        author = AUTHORS[number % len(AUTHORS)]["id"]
        context, document = _shipped_note(sample, author, written)
        chart += context
        documents.append(document)
    context, document = _blank_note(now)
    return Samples((*chart, *context), (*documents, document))


def _shipped_note(sample: Sample, author: str, written: datetime) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    name, suffix = sample.file.rsplit(".", 1)
    data = files("sidecar.demo").joinpath("notes", sample.file).read_bytes()
    media_type = TEXT if suffix == "txt" else MEDIA_TYPES[f".{suffix}"]
    visit = Visit(f"visit-{name}", sample.person.id, sample.encounter_class)
    context = [charts.encounter(visit, written - VISIT_LENGTH)]
    attachment = charts.inline_attachment(media_type, data)
    if sample.linked:
        context.append(charts.binary(f"content-{name}", media_type, data))
        attachment = charts.linked_attachment(media_type, data, f"content-{name}")
    document = charts.document(name, sample.type_code, visit, author, written, attachment)
    return context, {**document, **sample.changes}


def _blank_note(now: datetime) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    visit = Visit(f"visit-{BLANK_ID}", _DEMOSON.id, "IMP")
    attachment = charts.inline_attachment(TEXT, b" \r\n\t\r\n")
    document = charts.document(BLANK_ID, "11506-3", visit, AUTHORS[0]["id"], now, attachment)
    return [charts.encounter(visit, now - VISIT_LENGTH)], document


def _from_folder(folder: Path, now: datetime) -> Samples:
    chart: dict[str, dict[str, Any]] = {f"Practitioner/{p['id']}": p for p in (CLINICIAN, *AUTHORS)}
    documents: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        read = _READERS.get(path.suffix.lower())
        if read is None:
            continue
        context, document = read(path, now)
        if document["id"] in documents:
            raise ConfigError(f"{path.name}: another file of the folder gives the same id {document['id']}")
        documents[document["id"]] = document
        for resource in context:
            chart.setdefault(f"{resource['resourceType']}/{resource['id']}", resource)
    if not documents:
        raise ConfigError("the notes folder holds no .txt, .html, .rtf, .pdf, .xml or .json file")
    return Samples(tuple(chart.values()), tuple(documents.values()))


def _plain_note(path: Path, now: datetime) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    note_id = _fhir_id(path.stem)
    given, family = "Sample", note_id.replace("-", " ").title()
    person = Person(_fhir_id(f"patient-{note_id}"), given, family, "unknown", 50)
    visit = Visit(_fhir_id(f"visit-{note_id}"), person.id, "AMB")
    attachment = charts.inline_attachment(MEDIA_TYPES[path.suffix.lower()], path.read_bytes())
    document = charts.document(note_id, _guess_type(path.stem), visit, AUTHORS[0]["id"], now, attachment)
    return [charts.patient(person, now), charts.encounter(visit, now - VISIT_LENGTH)], document


def _given_document(path: Path, now: datetime) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    document = _read_json(path)
    document.setdefault("id", _fhir_id(path.stem))
    patient_id = _target(document.get("subject"), "Patient")
    if patient_id is None:
        patient_id = _fhir_id(f"patient-{document['id']}")
        document["subject"] = {"reference": f"Patient/{patient_id}"}
    person = Person(patient_id, "Sample", patient_id.replace("-", " ").title(), "unknown", 50)
    context = [charts.patient(person, now)]
    for encounter_id in _encounters(document):
        visit = Visit(encounter_id, patient_id, "AMB")
        context.append(charts.encounter(visit, now - VISIT_LENGTH))
    return context, document


_READERS = dict.fromkeys(MEDIA_TYPES, _plain_note) | {".json": _given_document}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        raise ConfigError(f"{path.name}: not JSON") from None
    if not isinstance(document, dict) or document.get("resourceType") != "DocumentReference":
        raise ConfigError(f"{path.name}: not a DocumentReference")
    return document


def _encounters(document: dict[str, Any]) -> Iterator[str]:
    context = document.get("context")
    listed = context.get("encounter") if isinstance(context, dict) else None
    for reference in listed if isinstance(listed, list) else []:
        encounter_id = _target(reference, "Encounter")
        if encounter_id is not None:
            yield encounter_id


def _target(reference: object, resource_type: str) -> str | None:
    """Return the id in a relative or absolute reference to `resource_type`."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    match = re.search(rf"(?:^|/){resource_type}/([A-Za-z0-9\-.]{{1,64}})", text) if isinstance(text, str) else None
    return match[1] if match else None


def _guess_type(name: str) -> str:
    words = re.split(r"[^a-z&]+", name.lower())
    return next((code for word, code in _TYPE_WORDS.items() if word in words), "11506-3")


def _fhir_id(name: str) -> str:
    """Make an id of at most 64 letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:64] or "note"
