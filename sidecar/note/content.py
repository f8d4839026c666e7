"""Whether a note says anything, and in which language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.note.text import NoteText

_LABEL = re.compile(r"[^\W\d_][^:\n.|]{0,50}:")
# "[ ] normal" is an answer that nobody has chosen.
_PLACEHOLDER = re.compile(r"\[[ _]*\][^\[\]\n]{0,40}|\*{2,}|_{2,}|\.{3,}|-{2,}|<[^<>]{0,40}>|\{[^{}]{0,40}\}|@\w+@")
_WORD = re.compile(r"[^\W\d_]+|\d+")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


def _words(listed: str) -> frozenset[str]:
    return frozenset(re.findall(r"\S+", listed))


# Function words that are common in notes of the language and are no words of the others.
_FUNCTION_WORDS = {
    "en": _words("the and of with was is to for has were had no not on at by from this that she he patient"),
    "de": _words("der die und mit wurde ist das nicht bei eine einer des dem den zur zum keine wird sich nach"),
    "fr": _words("le la les des et une est pas avec dans du pour sur aux par sans patiente ont été"),
    "es": _words("el los las una con por para que se del sin al paciente fue y presenta tratamiento"),
    "it": _words("il gli della con una per non di che del nel è stato paziente alla dei sono"),
    "pt": _words("o os das dos uma com não em para ao foi do da pela pelo paciente e sem"),
    "nl": _words("het een van en met niet werd voor bij naar zijn geen op te wordt patiënt"),
}
_EVIDENCE = 6
_LEAD = 2


def is_empty_template(note: NoteText) -> bool:
    """Say whether the note is headings, labels and blanks to fill in, with nothing filled in."""
    return not any(_WORD.search(_filled_in(note.slice(sentence))) for sentence in note.sentences)


def language(note: NoteText) -> str:
    """Return the ISO 639-1 code of the language that clearly dominates, ``und`` for another script.

    English unless there is clear evidence against it: a terse note has few function words or none.
    """
    letters = len(_LETTER.findall(note.text))
    if letters and len(_LATIN.findall(note.text)) * 2 < letters:
        return "und"
    words = re.findall(r"[^\W\d_]+", note.text.casefold())
    counts = {code: sum(map(known.__contains__, words)) for code, known in _FUNCTION_WORDS.items()}
    best = max(counts, key=lambda code: counts[code])
    return best if counts[best] >= max(_EVIDENCE, _LEAD * counts["en"]) else "en"


def _filled_in(sentence: str) -> str:
    return _PLACEHOLDER.sub(" ", _LABEL.sub(" ", sentence))
