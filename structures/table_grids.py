"""Tables as a document shows them, before their cells are read: Markdown tables and lists of records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from structrag.corpus.markup import parse_tables
from structrag.structures.table_units import parse_unit
from structrag.structures.table_values import parse_number
from structrag.types import SourceDocument


@dataclass(frozen=True, slots=True)
class GridCell:
    """A cell's text and where it stands; nowhere (``start == end``) where the document has no such cell."""

    text: str
    start: int = 0
    end: int = 0


NO_CELL = GridCell("")


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of one document.

    Attributes:
        caption: What stands above it.
        is_attributes: Its first column names attributes, and the others hold their values.
    """

    document: SourceDocument
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[GridCell, ...], ...]
    is_attributes: bool = False


def parse_grids(document: SourceDocument) -> list[Grid]:
    """Return every table in a document's text, in order; no model is asked."""
    found = [*_markdown(document), *_records(document)]
    return [grid for _, grid in sorted(found, key=lambda item: item[0])]


def _markdown(document: SourceDocument) -> Iterator[tuple[int, Grid]]:
    for table in parse_tables(document.text):
        rows = tuple(
            tuple(GridCell(cell.text, cell.start, cell.end) for cell in row)
            for row in table.rows
            if any(cell.text for cell in row)
        )
        if rows:
            header = tuple(cell.text for cell in table.header)
            yield table.start, _merge_unit_column(Grid(document, table.caption, header, rows))


def _merge_unit_column(grid: Grid) -> Grid:
    """Move the units of a column named "unit" into the numbers on its left."""
    heads = [head.strip().casefold() for head in grid.header]
    at = next((i for i, head in enumerate(heads) if head in ("unit", "units") and i > 0), None)
    if at is None:
        return grid
    pairs = [(row[at - 1], row[at]) for row in grid.rows if row[at - 1].text and row[at].text]
    if not pairs or any(parse_number(n.text) is None or parse_unit(u.text) is None for n, u in pairs):
        return grid
    header = grid.header[:at] + grid.header[at + 1 :]
    rows = tuple((*row[: at - 1], _joined(row[at - 1], row[at]), *row[at + 1 :]) for row in grid.rows)
    return Grid(grid.document, grid.caption, header, rows)


def _joined(number: GridCell, unit: GridCell) -> GridCell:
    if not (number.text and unit.text):
        return number
    return GridCell(f"{number.text} {unit.text}", number.start, unit.end)


# "Entry 3. Year: 2003; Place: 5th." or "- **Revenue:** EUR 4 million".
_LEAD = re.compile(r"[ \t]*(?:[-*+•][ \t]+|\d{1,4}[.)][ \t]+|[A-Z][a-z]+ \d{1,4}[.:)][ \t]+)?")
_PAIR = re.compile(r"(?P<label>\*\*[^*:\n]{1,60}:?\*\*:?|[^\s:;.*][^:;\n]{0,58}?:)(?:[ \t]+|$)(?P<value>.*)")
_MARKS = "*_: \t"
_FEWEST_RECORDS = 2
_FEWEST_ATTRIBUTES = 3


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    pairs: tuple[tuple[str, GridCell], ...]


def _records(document: SourceDocument) -> Iterator[tuple[int, Grid]]:
    """Yield a grid for each run of lines that are all ``label: value; label: value``."""
    for run in _runs(document.text):
        labels = list(dict.fromkeys(label for record in run for label, _ in record.pairs))
        start = run[0].pairs[0][1].start
        caption = _line_above(document.text, start)
        if all(len(record.pairs) == 1 for record in run):
            if len(run) >= _FEWEST_ATTRIBUTES and len(labels) == len(run):
                rows: tuple[tuple[GridCell, ...], ...] = tuple(
                    (GridCell(label), cell) for r in run for label, cell in r.pairs
                )
                yield start, Grid(document, caption, ("", ""), rows, is_attributes=True)
        elif len(run) >= _FEWEST_RECORDS and _alike(run):
            rows = tuple(tuple(dict(r.pairs).get(label, NO_CELL) for label in labels) for r in run)
            yield start, Grid(document, caption, tuple(labels), rows)


def _runs(text: str) -> Iterator[list[_Record]]:
    run: list[_Record] = []
    position = 0
    for number, line in enumerate(text.split("\n")):
        pairs = _pairs(line, position) if ":" in line and "|" not in line else ()
        position += len(line) + 1
        if not line.strip():
            continue
        if pairs and (not run or (len(run[0].pairs) > 1) == (len(pairs) > 1)):
            run.append(_Record(number, pairs))
            continue
        yield from [run] if run else []
        run = [_Record(number, pairs)] if pairs else []
    yield from [run] if run else []


def _alike(run: Sequence[_Record]) -> bool:
    """Whether the records share their first label, which prose with colons does not."""
    return len({record.pairs[0][0] for record in run}) == 1


def _pairs(line: str, offset: int) -> tuple[tuple[str, GridCell], ...]:
    lead = _LEAD.match(line)
    start = lead.end() if lead else 0
    end = len(line.rstrip())
    # A single pair without a bullet or a bold label is a sentence with a colon more often than a record.
    pieces = _split(line, start, end)
    if len(pieces) == 1 and not line[:start].strip() and not line.startswith("**"):
        return ()
    pairs: list[tuple[str, GridCell]] = []
    for piece_start, piece_end in pieces:
        match = _PAIR.match(line, piece_start, piece_end)
        if match:
            value = match["value"].rstrip()
            begin = match.start("value")
            pairs.append((match["label"].strip(_MARKS), _cell(line, begin, begin + len(value), offset)))
        elif pairs:
            label, cell = pairs[-1]
            pairs[-1] = (label, _cell(line, cell.start - offset, piece_end, offset))
        else:
            return ()
    label, last = pairs[-1]
    if len(pairs) > 1 and last.text.endswith("."):
        pairs[-1] = (label, GridCell(last.text[:-1], last.start, last.end - 1))
    return tuple(pairs)


def _split(line: str, start: int, end: int) -> list[tuple[int, int]]:
    cuts = [match.start() for match in re.finditer(r";[ \t]", line[start:end])]
    starts = [start, *(start + cut + 2 for cut in cuts)]
    return list(zip(starts, [*(start + cut for cut in cuts), end], strict=True))


def _cell(line: str, start: int, end: int, offset: int) -> GridCell:
    return GridCell(line[start:end], offset + start, offset + end)


def _line_above(text: str, start: int) -> str:
    above = text[: text.rfind("\n", 0, start) + 1].rstrip()
    return above.rsplit("\n", 1)[-1].strip("#*_: \t")[:120]
