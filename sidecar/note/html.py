"""HTML and XHTML to the text that a reader sees as current.

resiliparse does the layout; it keeps the text of struck and hidden elements, tears table cells
that hold paragraphs, and flattens exponents, so the tree is prepared first.

Its collections run the query again at every step of an iteration (2.0.1): always slice, ``[:]``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sidecar.note.decode import clean
from sidecar.note.tables import join_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

STRUCK: Final = "struck-text-dropped"
HIDDEN: Final = "hidden-text-dropped"

_STRUCK_STYLE = r"text-decoration(?:-line)?\s*:[^;]*line-through"
_HIDDEN_STYLE = (
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|mso-hide\s*:\s*all"
    r"|(?<![-\w])opacity\s*:\s*0(?:\.0*)?\s*(?:[;!]|$)|font-size\s*:\s*0(?:\.0*)?(?:px|pt|em|rem|%)?\s*(?:[;!]|$)"
)
_STRUCK = re.compile(_STRUCK_STYLE, re.IGNORECASE)
_HIDDEN = re.compile(_HIDDEN_STYLE, re.IGNORECASE)
_AT_RULE = re.compile(r"@[^{};@]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_SHOWN_INPUTS = frozenset({"text", "number", "date", "time", "datetime-local", "email", "tel", "search", "url"})
_RULE_LIMIT = 200
_SHEET_LIMIT = 100_000
_STYLE_LIMIT = 1000
_WORDS_LIMIT = 500
_SELF_CLOSED = re.compile(
    r"<((?!(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b)[a-z][a-z0-9]*)\b([^<>]*)/>",
    re.IGNORECASE,
)
_XHTML = re.compile(r"\s*<\?xml\s|[^>]{0,200}<[a-z]+\s[^>]*http://www\.w3\.org/1999/xhtml", re.IGNORECASE)
_CHARSET = re.compile(
    rb"(?i)<meta\s[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)|^\s*<\?xml\s[^>]*?encoding\s*=\s*[\"']([\w.:-]+)"
)
_EXPONENT = re.compile(r"\s*[-+\u2212]?\d{1,3}\s*")
_BLANK_LINES = re.compile(r"\n{3,}")


def charset_of(data: bytes) -> str | None:
    """Return the charset that an HTML meta element or XML declaration names in the first KiB."""
    found = _CHARSET.search(data[:1024])
    return (found.group(1) or found.group(2)).decode("ascii").lower() if found else None


def html_to_text(markup: str, *, xhtml: bool = False) -> tuple[str, tuple[str, ...]]:
    """Return the visible text and warning codes.

    Struck, deleted and hidden elements never come out; a warning says that there were some. A
    row of a data table is one line, cells apart by `` | ``, so that a dose stays with its drug.
    """
    from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415 - only where HTML comes
    from resiliparse.parse.html import HTMLTree  # noqa: PLC0415 - the same

    if xhtml or _XHTML.match(markup):
        # An HTML parser takes <s/> and <title/> for start tags and loses the rest of the note.
        markup = _SELF_CLOSED.sub(r"<\1\2></\1>", markup)
    tree = HTMLTree.parse(markup)
    if tree.body is None:
        return "", ()
    warnings = _drop_unseen(tree)
    _mark_exponents(tree)
    _number_items(tree)
    _show_fields(tree)
    join_rows(tree)
    text = extract_plain_text(tree, links=False, alt_texts=True, form_fields=False)
    lines = (line.rstrip() for line in clean(text).split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)), warnings


def _drop_unseen(tree: Any) -> tuple[str, ...]:  # noqa: ANN401 - resiliparse ships no types
    rules = list(_style_rules(tree))
    struck = _select(tree, ["s", "strike", "del", *(name for name, style in rules if _STRUCK.search(style))])
    hidden = _select(tree, ["[hidden]", "template", *(name for name, style in rules if _HIDDEN.search(style))])
    for node in tree.document.query_selector_all("[style]")[:]:
        style = (node.getattr("style") or "")[:_STYLE_LIMIT]
        if _STRUCK.search(style):
            struck.append(node)
        elif _HIDDEN.search(style):
            hidden.append(node)
    found = [code for code, nodes in ((STRUCK, struck), (HIDDEN, hidden)) if _any_words(nodes)]
    for node in (*struck, *hidden):
        if node.parent is not None:
            node.parent.remove_child(node)
    return tuple(found)


def _style_rules(tree: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - no types
    """Yield selector and declarations of the page's own style sheets, conditional blocks left out."""
    sheets = tree.document.query_selector_all("style")[:]
    css = "\n".join(sheet.text for sheet in sheets)
    plain = _AT_RULE.sub("", _without_comments(css[:_SHEET_LIMIT]))
    for rule in plain.split("}", _RULE_LIMIT)[:-1]:
        selector, _, declarations = rule.rpartition("{")
        yield selector.strip(), declarations


def _without_comments(css: str) -> str:
    first, *rest = css.split("/*")
    return first + "".join(part.partition("*/")[2] for part in rest)


def _select(tree: Any, selectors: list[str]) -> list[Any]:  # noqa: ANN401 - no types
    from resiliparse.parse.html import CSSParserException  # noqa: PLC0415 - only where HTML comes

    nodes: list[Any] = []
    for selector in selectors:
        try:
            nodes.extend(tree.document.query_selector_all(selector)[:])
        except CSSParserException:
            continue  # a note's style sheet may hold anything; browsers skip such rules too
    return nodes


def _any_words(nodes: list[Any]) -> bool:
    # Nested elements would be read again at every level, so many of them count as words.
    return len(nodes) > _WORDS_LIMIT or any(node.text.strip() for node in nodes)


def _mark_exponents(tree: Any) -> None:  # noqa: ANN401 - no types
    """Write ``10<sup>3</sup>`` as ``10^3``: a platelet count must not become 103."""
    for node in tree.document.query_selector_all("sup")[:]:
        if not node.child_element_count and _EXPONENT.fullmatch(node.text):
            node.replace_with(tree.create_text_node("^" + node.text.strip()))


def _show_fields(tree: Any) -> None:  # noqa: ANN401 - no types
    """Write what a form shows: values, chosen options, ticked and empty boxes."""
    for field in tree.document.query_selector_all("input, textarea, select")[:]:
        shown = _shown(field)
        if shown:
            field.replace_with(tree.create_text_node(f" {shown} "))


def _shown(field: Any) -> str:  # noqa: ANN401 - no types
    if field.tag == "textarea":
        return str(field.text)
    if field.tag == "select":
        chosen = field.query_selector("option[selected]") or field.query_selector("option")
        return str(chosen.text) if chosen is not None else ""
    kind = (field.getattr("type") or "text").lower()
    if kind in {"checkbox", "radio"}:
        return "[x]" if field.hasattr("checked") else "[ ]"
    return str(field.getattr("value") or "") if kind in _SHOWN_INPUTS else ""


def _number_items(tree: Any) -> None:  # noqa: ANN401 - no types
    """Give items of a list that does not start at 1 the number that a browser shows."""
    for ordered in tree.document.query_selector_all("ol[start]")[:]:
        start = ordered.getattr("start") or ""
        if not (start.isascii() and start.isdigit() and len(start) < 6):
            continue
        items = [node for node in ordered.child_nodes[:] if node.tag == "li"]
        for number, item in enumerate(items, int(start)):
            block = tree.create_element("div")
            block.append(tree.create_text_node(f"{number}. "))
            for child in item.child_nodes[:]:
                block.append(child)
            item.replace_with(block)
