"""Which rendering of a document is read. EHRs offer the same note two or three times over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.errors import ParkEvent
from sidecar.note.media import CDA, HTML, PDF, RTF, TEXT, XHTML, XML, parse_media_type, sniff
from sidecar.outcomes import ParkReason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.note.attachment import Attachment

_ORDER = {TEXT: 0, HTML: 1, XHTML: 1, None: 2, CDA: 3, XML: 3, RTF: 4, PDF: 5}
_LAST = 9


def rank(offered: Sequence[Attachment]) -> tuple[Attachment, ...]:
    """Return the readable attachments, best first: text, HTML, C-CDA, RTF, PDF, the rest.

    They are renderings of one document, so the caller reads the first that it can get and never
    two. Attachments with neither bytes nor link, or with blank bytes, are left out.
    """
    readable = [attachment for attachment in offered if _has_content(attachment)]
    return tuple(sorted(readable, key=_preference))


def choose(offered: Sequence[Attachment]) -> Attachment:
    """Return the best attachment; its bytes may have to be fetched from its `url` first.

    Raises `ParkEvent` (``no-content``) with the first fault as detail where none can be read. A
    blank attachment is returned when there is nothing else, so that it ends as ``no-text``.
    """
    ranked = rank(offered)
    if ranked:
        return ranked[0]
    blank = [attachment for attachment in offered if attachment.data is not None]
    if blank:
        return blank[0]
    faults = [attachment.fault for attachment in offered if attachment.fault]
    raise ParkEvent(ParkReason.NO_CONTENT, faults[0] if faults else f"attachments={len(offered)}")


def _has_content(attachment: Attachment) -> bool:
    if attachment.fault:
        return False
    if attachment.data is None:
        return attachment.url is not None
    return bool(attachment.data.strip())


def _preference(attachment: Attachment) -> int:
    label = parse_media_type(attachment.media_type).name
    kind = label if attachment.data is None else sniff(attachment.data, label)
    return _ORDER.get(kind, _LAST)
