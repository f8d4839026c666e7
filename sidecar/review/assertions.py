"""What a sentence says is not so, or was so: negation scopes in the manner of NegEx and ConText."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidecar.note.text import Span

_BEFORE = re.compile(
    r"\b(?:no|not|never|without|neither|nor|none\s+of|denie[sd]|deny|denying|negative\s+for|absence\s+of|absent|lack\s+of"
    r"|free\s+of|(?:can|do|does|did|is|was|were|are|has|have|had|could|would|should|wo)n['\u2019]?t|cannot)\b",
    re.IGNORECASE,
)
_PSEUDO = re.compile(
    r"\b(?:no\s+(?:change|increase|decrease|further|difference|doubt|matter|problem\s+with|later\s+than|more\s+than"
    r"|less\s+than|sooner|longer\s+than)|not\s+(?:only|just|sure|certain|clear|know|necessarily|until|exceed|more|less)"
    r"|without\s+(?:difficulty|incident|change)|not\s+(?:recall|remember))\b",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"(?:\b(?:is|are|was|were|been|be)\s+(?:also\s+)?(?:ruled\s+out|absent|negative|denied|excluded|declined|refused)"
    r"|\b(?:ruled\s+out|not\s+present|not\s+seen|not\s+identified|not\s+needed|not\s+required"
    r"|not\s+indicated)|\b(?:absent|negative|denied)(?=\s*(?:[.;]|$))|[:\-\u2013]\s*(?:none|nil|negative|no|denies|denied|n/a)\s*(?=[.;,]|$))",
    re.IGNORECASE,
)
_STOP = re.compile(
    r"[.;:!?](?=\s|$)|\n\s*\n|\u2022|\b(?:but|however|except|although|though|yet|apart\s+from|other\s+than|aside\s+from|which|who|because|until|unless"
    r"|due\s+to|secondary\s+to|presents?|presented|complain(?:s|ed|ing)|reports?|reported|endorses?|endorsed|admits?"
    r"|admitted|positive\s+for|remains?|continues?)\b|\band\s+(?=(?:he|she|they|it|i|we|has|had|is|was|are|were|does|did"
    r"|will|may|can)\b)|,\s+(?=(?:he|she|they|it|i|we|has|had|is|was|are|were|does|did|will|with|denies|denied|no|not|and\s+(?:he|she|has|is|was))\b)",
    re.IGNORECASE,
)
# What is under a condition, a wish or an end is neither so nor not so.
_OPEN_AFTER = re.compile(
    r"\b(?:if|unless|should|avoid|prevent|rule\s+out|ruling\s+out|r/o|whether|until|versus|vs|referr?\w*|recommend\w*|encourage\w*|advise\w*|order\w*|schedule\w*|plan\w*|possible|possibly|question"
    r"|concern(?:ed|ing)?|consider|risk|in\s+case|stop(?:ped|s)?|quit|ceased?|discontinued?|held|hold|resolved|improved"
    r"|less|decreased?|reduced|minimal|unlikely|unable|refus\w+|declin\w+|fail(?:s|ed)?|exclude|only|except|other\s+than|apart"
    r"\s+from|prior\s+to|before|instead|rather)\b",
    re.IGNORECASE,
)
_OPEN_BEFORE = re.compile(
    r"\b(?:resolved|subsided|stopped|discontinued|held|ceased|gone|unlikely|improved|minimal|possible)\b",
    re.IGNORECASE,
)
_HISTORICAL = re.compile(
    r"\b(?:history\s+of|h/o|hx\s+of|previous(?:ly)?|prior|in\s+the\s+past|used\s+to|former(?:ly)?|remote|years?\s+ago"
    r"|was\s+on|had\s+been\s+on|status\s+post|s/p)\b",
    re.IGNORECASE,
)
_REACH = re.compile(r"(?:\s*\S+){0,60}")


def negated_spans(text: str) -> tuple[Span, ...]:
    """Return the stretches of `text` that a negation reaches, its own words left out."""
    pseudo = [match.span() for match in _PSEUDO.finditer(text)]
    stops = [match.span() for match in _STOP.finditer(text)]
    spans = [
        (match.end(), _scope_end(text, match.end(), stops))
        for match in _BEFORE.finditer(text)
        if not _inside(match.start(), pseudo)
    ]
    spans += [
        (_scope_start(match.start(), stops), match.start())
        for match in _AFTER.finditer(text)
        if not _inside(match.start(), pseudo)
    ]
    return tuple(span for span in spans if span[1] > span[0])


def open_spans(text: str) -> tuple[Span, ...]:
    """Return the stretches of `text` that hold neither a fact nor its denial: conditions, possibilities, endings."""
    stops = [match.span() for match in _STOP.finditer(text)]
    after = [(match.start(), _scope_end(text, match.end(), stops)) for match in _OPEN_AFTER.finditer(text)]
    before = [(_scope_start(match.start(), stops), match.start()) for match in _OPEN_BEFORE.finditer(text)]
    return (*after, *before)


def is_negated(at: int, spans: tuple[Span, ...]) -> bool:
    return _inside(at, list(spans))


def is_historical(text: str, at: int) -> bool:
    """Say whether the words just before `at` put it in the past, or "in the past" follows in the same clause."""
    before = text[max(0, at - 40) : at]
    after = text[at : at + 60]
    return bool(_HISTORICAL.search(before) or re.search(r"^[^.;]*\b(?:in\s+the\s+past|years?\s+ago)\b", after))


def _inside(at: int, spans: list[Span]) -> bool:
    return any(start <= at < end for start, end in spans)


def _scope_end(text: str, start: int, stops: list[Span]) -> int:
    # "does not report pain": a verb right behind the negation is what is negated, and no border.
    ends = (stop for stop, _ in stops if stop >= start and (text[start:stop].strip() or not text[stop].isalpha()))
    end = next(ends, len(text))
    reach = _REACH.match(text, start)
    return min(end, reach.end()) if reach else end


def _scope_start(end: int, stops: list[Span]) -> int:
    return max((after for _, after in stops if after <= end), default=0)
