"""What `draft` and `extract` read: resources, bundles, bare note files, lines of either."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from sidecar.errors import ConfigError, DeadLetterEvent, ParkEvent
from sidecar.note import Attachment, NoteLexicon, NoteText, attachments, choose, decode_base64, read_attachment
from sidecar.outcomes import DeadLetterCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

STDIN = "-"
SOURCES = ("DocumentReference", "DiagnosticReport")

_BOM = b"\xef\xbb\xbf"
_MEDIA_TYPES = {
    ".txt": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".rtf": "application/rtf",
    ".pdf": "application/pdf",
    ".xml": "application/xml",
}
_JSON_SUFFIXES = frozenset({".json", ".ndjson", ".jsonl"})


@dataclass(frozen=True, slots=True)
class Document:
    """One input. `resource` is None for a bare document; `fault` says why an input is none at all.

    Links among `attachments` are resolved where the input itself holds the Binary.
    """

    id: str | None
    resource: dict[str, Any] | None = None
    attachments: tuple[Attachment, ...] = ()
    fault: DeadLetterCode | None = None

    def read_text(self, lexicon: NoteLexicon | None = None) -> NoteText:
        """Return the text of the best attachment that the input holds.

        Raises `DeadLetterEvent` for a faulty input, and what `choose` and `read_attachment` raise.
        """
        if self.fault is not None:
            raise DeadLetterEvent(self.fault)
        here = [attachment for attachment in self.attachments if attachment.data is not None or attachment.fault]
        return read_attachment(choose(here), lexicon=lexicon)


def read_documents(file: str, *, jsonl: bool) -> Iterator[Document]:
    """Yield the documents of a file or of standard input (``-``), with `jsonl` one a line, in order.

    A document that our own code fails on is `poison`. Raises `ConfigError` where the file cannot be read.
    """
    if jsonl:
        for line in read_lines(file):
            yield _guarded(partial(parse_line, line))
        return
    with _opened(file) as stream:
        data = stream.read()
    yield _guarded(partial(parse_file, data, None if file == STDIN else file))


def read_lines(file: str) -> Iterator[bytes]:
    """Yield every line of a file or of standard input (``-``), blank ones too: an answer is owed to each.

    Raises `ConfigError` where the file cannot be read.
    """
    with _opened(file) as stream:
        yield from stream


def tell_unexpected(error: Exception) -> None:
    """Name a fault of our own code on stderr by its class alone: its text may quote the document (PHI)."""
    print(f"sidecar: a document failed with {type(error).__name__}", file=sys.stderr)


def parse_line(line: bytes) -> Document:
    """Return the document of one line: a resource, a Bundle, or ``{"id","media_type","data"}``."""
    try:
        value = orjson.loads(line.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return Document(None, fault=DeadLetterCode.NOT_JSON)
    if not isinstance(value, dict):
        return Document(None, fault=DeadLetterCode.INVALID_RESOURCE)
    return _of_resource(value) if "resourceType" in value else _of_bare_line(value)


def parse_file(data: bytes, file: str | None) -> Document:
    """Return the document of a whole file: FHIR JSON, or else a bare note named after the file."""
    path = Path(file) if file is not None else Path()
    suffix, name = path.suffix.lower(), path.name or None
    if data.removeprefix(_BOM).lstrip()[:1] == b"{" or suffix in _JSON_SUFFIXES:
        document = parse_line(data)
        if document.resource is not None or document.fault is not DeadLetterCode.NOT_JSON or suffix in _JSON_SUFFIXES:
            return replace(document, id=document.id or name)
    return Document(name, attachments=(Attachment(_MEDIA_TYPES.get(suffix), data),))


def _guarded(parse: Callable[[], Document]) -> Document:
    try:
        return parse()
    except Exception as error:  # noqa: BLE001 - one document must not end the rest
        tell_unexpected(error)
        return Document(None, fault=DeadLetterCode.POISON)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """Open the input; only its own errors are wrong use, those of the output are not."""
    try:
        if file != STDIN:
            with Path(file).open("rb") as stream:
                yield stream
        elif sys.stdin is None:
            raise ConfigError("cannot read -: standard input is closed")
        else:
            yield sys.stdin.buffer
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None


def _of_resource(value: dict[str, Any]) -> Document:
    resources = _entries(value) if value["resourceType"] == "Bundle" else {"": value}
    source = next((item for item in resources.values() if item.get("resourceType") in SOURCES), None)
    if source is None:
        return Document(_id(value), fault=DeadLetterCode.INVALID_RESOURCE)
    offered = tuple(_resolve(attachment, resources) for attachment in attachments(source))
    return Document(_id(source), source, offered)


def _entries(bundle: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the resources of a Bundle by every name that a link may use for them."""
    found: dict[str, dict[str, Any]] = {}
    entries = bundle.get("entry")
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            continue
        for name in (entry.get("fullUrl"), f"{resource.get('resourceType')}/{resource.get('id')}", f"#{number}"):
            if isinstance(name, str):
                found.setdefault(name, resource)
    return found


def _resolve(attachment: Attachment, resources: Mapping[str, Mapping[str, Any]]) -> Attachment:
    """Fill in the bytes of a link to a Binary that the Bundle holds."""
    if attachment.data is not None or attachment.url is None:
        return attachment
    relative = "/".join(attachment.url.split("/_history/")[0].rsplit("/", 2)[-2:])
    binary = resources.get(attachment.url) or resources.get(relative)
    if binary is None or binary.get("resourceType") != "Binary":
        return attachment
    return _with_data(attachment, binary.get("data"), binary.get("contentType"))


def _with_data(attachment: Attachment, data: object, media_type: object) -> Attachment:
    label = attachment.media_type or (media_type if isinstance(media_type, str) else None)
    try:
        content = decode_base64(data) if isinstance(data, str) and data else None
    except ParkEvent as event:
        return replace(attachment, media_type=label, fault=event.detail)
    return replace(attachment, media_type=label, data=content)


def _of_bare_line(value: Mapping[str, Any]) -> Document:
    data = value.get("data")
    if not isinstance(data, str):
        return Document(_id(value), fault=DeadLetterCode.INVALID_RESOURCE)
    label = value.get("media_type")
    bare = Attachment(label if isinstance(label, str) else None, None)
    return Document(_id(value), attachments=(_with_data(bare, data, None) if data else replace(bare, data=b""),))


def _id(value: Mapping[str, Any]) -> str | None:
    found = value.get("id")
    return found if isinstance(found, str) else None
