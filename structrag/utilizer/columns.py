"""Lists that stand in a document's tables: the different values of a column, as of those that sort the rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from structrag.corpus.tables import parse_tables
from structrag.session import Session
from structrag.structures.catalogue import Catalogue, Member, Topic
from structrag.structures.quotes import content_words, support
from structrag.types import Evidence, Span
from structrag.utilizer.outlines import BELOW, FEWEST_ENTRIES, Outline, choose_outline

_PIPE = re.compile(r"(?<!\\)\|")
_OUTER_PIPES = re.compile(r"^\s*\||(?<!\\)\|\s*$")
_MOST_KINDS = 60
_REPEATED = 0.75
"""Different values there may be for a row: a column in which hardly any value comes twice sorts nothing."""
_BLANK_LINE = 2
_DELIMITER_CHARACTERS = 5
"""Between a header and its first row stand at least two line ends and the row of dashes."""


def columns(catalogue: Catalogue) -> Iterator[Outline]:
    """Yield the different values of every column that sorts its rows, of the documents nearest to the question."""
    for document in catalogue.near:
        yield from _below(document, ())


def choose_column(question: str, found: Sequence[Outline], session: Session) -> Outline | None:
    """Return the column that a question asks for: the one whose name stands in it, else what the model chooses.

    Args:
        question: What is asked.
        found: The columns.
        session: The question's session.

    Raises:
        ModelOutputError: The model's reply is no number that was offered.
        ModelError: The model does not answer.
    """
    named = [outline for outline in found if _stands_in(outline.path.split(BELOW)[-1], question)]
    return named[0] if len(named) == 1 else choose_outline(question, named or found, session)


def _stands_in(head: str, question: str) -> bool:
    """Whether a column's name stands in a question; "no" stands in every one as a word of its own."""
    return set(content_words(head)) > set() and head.casefold() not in ("yes", "no") and support(head, question) == 1


def _below(topic: Topic, above: tuple[str, ...]) -> Iterator[Outline]:
    path = above if above and above[-1] == topic.title else (*above, topic.title)
    for rows in _tables(topic.members):
        yield from _columns(rows, path)
    for child in topic.children:
        yield from _below(child, path)


def _tables(members: Sequence[Member]) -> Iterator[list[Evidence]]:
    """The rows of each table, its header first; what stands between two tables is a member too."""
    for is_row, run in groupby(members, key=lambda member: bool(_PIPE.search(member.evidence.quote))):
        rows = [member.evidence for member in run] if is_row else []
        gaps = [other.span.start - one.span.end for one, other in pairwise(rows)]
        headers = [at for at, gap in enumerate(gaps) if gap >= _DELIMITER_CHARACTERS and _may_begin(gaps[:at])]
        yield from (rows[start:stop] for start, stop in pairwise([*headers, len(rows)]))


def _may_begin(gaps: Sequence[int]) -> bool:
    """Whether a table may begin after these gaps: at first, or below a blank line; not where a row of dashes was."""
    return not gaps or _BLANK_LINE <= gaps[-1] < _DELIMITER_CHARACTERS


def _columns(rows: Sequence[Evidence], path: tuple[str, ...]) -> Iterator[Outline]:
    header, *below = rows
    rule = "|" + "---|" * (len(_PIPE.findall(_OUTER_PIPES.sub("", header.quote))) + 1)
    text = "\n".join([header.quote, rule, *(row.quote for row in below)])
    tables = parse_tables(text)
    if not tables or len(tables[0].rows) != len(below):
        return
    # Where each row begins in the document, less where it begins in the text put together here.
    shifts, position = [], len(header.quote) + len(rule) + 2
    for row in below:
        shifts.append(row.span.start - position)
        position += len(row.quote) + 1
    for at, head in enumerate(tables[0].header):
        filled = [(cells[at], shift) for cells, shift in zip(tables[0].rows, shifts, strict=True) if cells[at].text]
        kinds: dict[str, tuple[str, Evidence]] = {}
        for cell, shift in filled:
            span = Span(header.span.document_id, cell.start + shift, cell.end + shift)
            kinds.setdefault(cell.text.casefold(), (cell.text, Evidence(span, text[cell.start : cell.end])))
        if FEWEST_ENTRIES <= len(kinds) <= min(_MOST_KINDS, int(_REPEATED * len(filled))):
            yield Outline(BELOW.join((*path, head.text.replace("_", " "))), tuple(kinds.values()))
