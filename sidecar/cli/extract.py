"""`sidecar extract`: what the sidecar reads in a document, and nothing else."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from sidecar.cli import DONE, add_config

if TYPE_CHECKING:
    import argparse

    from sidecar.cli.inputs import Document
    from sidecar.errors import Ended
    from sidecar.note.lexicon import NoteLexicon
    from sidecar.note.text import NoteText


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    parser = commands.add_parser(
        "extract",
        help="print the text, sections and sentences of a document",
        description="Read a DocumentReference, DiagnosticReport, Bundle or bare note file and print what is in it. "
        "It looks at content only, never at status, type or age. JSON on stdout; offsets are code points of `text`.",
    )
    add_config(parser)
    parser.add_argument("file", nargs="?", default="-", metavar="FILE|-", help="the document; - is standard input")
    parser.add_argument("--jsonl", action="store_true", help='a document a line, or {"id", "media_type", "data"}')


def run(options: argparse.Namespace) -> int:
    """Print one line of JSON for the document, or one for every line of input."""
    from tqdm import tqdm

    from sidecar.cli.inputs import read_documents
    from sidecar.note import NoteLexicon
    from sidecar.settings import load_settings

    lexicon = NoteLexicon.load(load_settings(options.config).mappings.dir)
    documents = read_documents(options.file, jsonl=options.jsonl)
    for document in tqdm(documents, unit=" notes", disable=None if options.jsonl else True, file=sys.stderr):
        print(_line(document, lexicon), flush=options.jsonl)
    return DONE


def _line(document: Document, lexicon: NoteLexicon) -> str:
    """Return the output line of a document, whatever happens to it."""
    from sidecar.cli.inputs import tell_unexpected
    from sidecar.errors import DeadLetterEvent, Ended
    from sidecar.outcomes import DeadLetterCode

    try:
        return json.dumps({"id": document.id, **_ok(document.read_text(lexicon))})
    except Ended as end:
        return json.dumps({"id": document.id, **_refused(end)})
    except Exception as error:  # noqa: BLE001 - one document must not end the rest
        tell_unexpected(error)
        return json.dumps({"id": document.id, **_refused(DeadLetterEvent(DeadLetterCode.POISON))})


def _ok(note: NoteText) -> dict[str, Any]:
    return {
        "outcome": "ok",
        "reason": None,
        "media_type": note.media_type,
        "charset": note.charset,
        "text": note.text,
        "sections": [
            {"title": section.title, "code": section.code, "start": section.start, "end": section.end}
            for section in note.sections
        ],
        "sentences": note.sentences,
        "duplicates": note.duplicates,
        "warnings": note.warnings,
    }


def _refused(end: Ended) -> dict[str, Any]:
    from sidecar.errors import DeadLetterEvent, ParkEvent, SkipEvent
    from sidecar.outcomes import ParkReason

    media_type = end.detail if isinstance(end, ParkEvent) and end.reason is ParkReason.FORMAT_NOT_YET else None
    reason = end.reason.value if isinstance(end, (ParkEvent, SkipEvent, DeadLetterEvent)) else end.code
    empty: dict[str, Any] = {"text": "", "sections": [], "sentences": [], "duplicates": [], "warnings": []}
    return {"outcome": "refused", "reason": reason, "media_type": media_type, "charset": None, **empty}
