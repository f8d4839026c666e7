"""Rows of HTML tables as single lines, so that what stands side by side stays together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SEPARATOR = " | "
_LAYOUT = "data-layout-table"
_CELL_LIMIT = 400
"""A cell with more characters is a column of prose, not a value; its row keeps its paragraphs."""


def join_rows(tree: Any) -> None:  # noqa: ANN401 - resiliparse ships no types
    """Rewrite every row of every innermost table as one line of cells.

    Rows tied together by a rowspan share a line, apart by ``;``. Tables around other tables only
    place things on the page and stay as they are.
    """
    for inner in tree.document.query_selector_all("table table")[:]:
        inner.parent.closest("table").setattr(_LAYOUT, "")
    for rows in _rows_by_table(tree):
        for tied in _tied_rows(rows):
            _join(tree, tied)


def _rows_by_table(tree: Any) -> list[list[Any]]:  # noqa: ANN401 - no types
    tables: dict[Any, list[Any]] = {}
    for row in tree.document.query_selector_all("tr")[:]:
        tables.setdefault(row.closest("table"), []).append(row)
    return [rows for table, rows in tables.items() if not table.hasattr(_LAYOUT)]


def _join(tree: Any, rows: list[Any]) -> None:  # noqa: ANN401 - no types
    cells = [_cells(row) for row in rows]
    if len(rows) == 1 and len(cells[0]) < 2:
        return
    _set_text(tree, rows[0], _render(cells))
    for row in rows[1:]:
        row.parent.remove_child(row)


def _tied_rows(rows: list[Any]) -> Iterator[list[Any]]:
    """Yield groups of rows; a cell that spans rows keeps the rows below in its group."""
    group: list[Any] = []
    open_rows = 0
    for row in rows:
        group.append(row)
        open_rows = max(open_rows - 1, _span(row) - 1)
        if open_rows <= 0:
            yield group
            group = []
    if group:
        yield group


def _span(row: Any) -> int:  # noqa: ANN401 - no types
    spans = [cell.getattr("rowspan") or "1" for cell in _cell_nodes(row)]
    return max((int(span) for span in spans if span.isascii() and span.isdigit() and len(span) < 3), default=1)


def _cell_nodes(row: Any) -> list[Any]:  # noqa: ANN401 - no types
    return [node for node in row.child_nodes[:] if node.tag in {"td", "th"}]


def _cells(row: Any) -> list[list[str]]:  # noqa: ANN401 - no types
    """Return the lines of each cell."""
    return [
        [" ".join(line.split()) for line in _cell_text(cell).splitlines() if line.strip()] for cell in _cell_nodes(row)
    ]


def _cell_text(cell: Any) -> str:  # noqa: ANN401 - no types
    from resiliparse.extract.html2text import extract_plain_text  # noqa: PLC0415 - only where HTML comes

    if not cell.child_element_count:
        return " ".join(cell.text.split())
    return str(extract_plain_text(cell.inner_html))


def _render(rows: list[list[list[str]]]) -> str:
    if any(sum(map(len, cell)) > _CELL_LIMIT for row in rows for cell in row):
        return "\n\n".join("\n".join(cell) for row in rows for cell in row if cell)
    if len(rows) == 1 and _is_stacked(rows[0]):
        return "\n".join(_line(list(line)) for line in zip(*rows[0], strict=True))
    return " ; ".join(filter(None, (_line(["; ".join(cell) for cell in row]) for row in rows)))


def _is_stacked(cells: list[list[str]]) -> bool:
    """Say whether every cell holds the same number of lines: several rows in the guise of one."""
    heights = {len(cell) for cell in cells}
    return len(heights) == 1 and heights.pop() > 1


def _line(cells: list[str]) -> str:
    while cells and not cells[-1]:
        cells = cells[:-1]
    return SEPARATOR.join(cells)


def _set_text(tree: Any, row: Any, text: str) -> None:  # noqa: ANN401 - no types
    cell = tree.create_element("td")
    holder = cell
    if "\n" in text:
        holder = tree.create_element("pre")
        cell.append(holder)
    holder.append(tree.create_text_node(text))
    row.replace_children(cell)
