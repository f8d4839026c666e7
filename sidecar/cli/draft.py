"""`sidecar draft`: a document in, the draft it would get out; no Kafka, no EHR."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from sidecar.cli import DONE, WRONG_USE, add_config
from sidecar.drafting.task import TaskKind
from sidecar.errors import ConfigError, TransientError

if TYPE_CHECKING:
    import argparse

    from sidecar.cli.inputs import Document
    from sidecar.note import NoteLexicon
    from sidecar.oneshot import Workbench
    from sidecar.settings import Settings


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse's type for it is private
    parser = commands.add_parser(
        "draft",
        help="draft one document, or a line each of --jsonl",
        description="Draft a DocumentReference, a Bundle holding one, or a plain note file. Every routing rule holds "
        "but age; a bare note is drafted by --task. JSON on stdout; spans index the `text` that `extract` prints.",
    )
    add_config(parser)
    parser.add_argument("file", nargs="?", default="-", metavar="FILE|-", help="the document; - is standard input")
    parser.add_argument("--engine", choices=["extractive"], help="instead of the engine of the settings")
    parser.add_argument("--task", choices=[kind.value for kind in TaskKind], default=TaskKind.SUMMARY.value)
    parser.add_argument("--jsonl", action="store_true", help='a document a line, or {"id", "media_type", "data"}')


def run(options: argparse.Namespace) -> int:
    from sidecar.settings import load_settings

    return asyncio.run(_run(options, load_settings(options.config)))


async def _run(options: argparse.Namespace, settings: Settings) -> int:
    from tqdm import tqdm

    from sidecar.app import open_workbench
    from sidecar.cli.inputs import read_documents
    from sidecar.note import NoteLexicon

    lexicon, kind = NoteLexicon.load(settings.mappings.dir), TaskKind(options.task)
    async with open_workbench(settings) as bench:
        if kind not in bench.mappings.tasks:
            print(f"sidecar draft: no mapping for task {kind.value} in mappings/tasks", file=sys.stderr)
            return WRONG_USE
        documents = read_documents(options.file, jsonl=options.jsonl)
        for document in tqdm(documents, unit=" notes", disable=None if options.jsonl else True, file=sys.stderr):
            print(await _line(bench, document, kind, lexicon), flush=options.jsonl)
    return DONE


async def _line(bench: Workbench, document: Document, kind: TaskKind, lexicon: NoteLexicon) -> str:
    """Return the output line of a document, whatever happens to it; settings and outages end the command."""
    from sidecar.cli.inputs import tell_unexpected
    from sidecar.oneshot import ended
    from sidecar.outcomes import DeadLetterCode

    try:
        return json.dumps(await _draft(bench, document, kind, lexicon))
    except (ConfigError, TransientError):
        raise
    except Exception as error:  # noqa: BLE001 - one document must not end the rest
        tell_unexpected(error)
        return json.dumps({"id": document.id, **ended("dead-lettered", DeadLetterCode.POISON.value)})


async def _draft(bench: Workbench, document: Document, kind: TaskKind, lexicon: NoteLexicon) -> dict[str, Any]:
    from sidecar.oneshot import draft_resource, draft_text

    def read_text() -> Any:  # noqa: ANN401 - a NoteText
        return document.read_text(lexicon)

    if document.resource is not None:
        return {**await draft_resource(bench, document.resource, read_text), "id": document.id}
    return await draft_text(bench, document.id, kind, read_text)
