"""Passages as they were ranked, with what the answer rests on highlighted."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static

from structrag.cli.text import clean
from structrag.structures.chunk import ChunkSet, passage_evidence
from structrag.tui.entries import Entries
from structrag.tui.views.view import CITED, SourceWanted, StructureView, Use, label
from structrag.types import Evidence, Passage

SHOWN = 700
"""Characters of a passage that are shown, around the first quote in it."""

_BEFORE_QUOTE = 200
_PAGE = 20


class ChunkView(StructureView):
    """Shows the passages, best first."""

    def __init__(self, chunks: ChunkSet, use: Use) -> None:
        super().__init__(use)
        self._passages = chunks.passages
        self._count = _PAGE

    def compose(self) -> ComposeResult:
        """Lay out the passages."""
        yield Static(classes="summary", markup=False)
        yield Entries("passages")
        yield Static("Enter source", classes="hint", markup=False)

    def redraw(self) -> None:
        """List the passages."""
        cited = sum(bool(_quotes(passage, self.use)) for passage in self._passages)
        self.query_one(".summary", Static).update(f"{len(self._passages):,} passages · {cited} cited")
        left = len(self._passages) - self._count
        more = [Content.styled(f"… {left:,} more: Enter shows them", "italic")] if left > 0 else []
        shown = enumerate(self._passages[: self._count], start=1)
        self.query_one(Entries).show([*(passage_entry(n, p, self.use) for n, p in shown), *more])

    def focus_content(self) -> None:
        """Go to the passages."""
        self.query_one(Entries).focus()

    @on(OptionList.OptionSelected, "#passages")
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_index >= self._count:
            self._count += _PAGE
            self.redraw()
            self.query_one(Entries).highlighted = event.option_index
            return
        passage = self._passages[event.option_index]
        quotes = _quotes(passage, self.use)
        self.post_message(SourceWanted(quotes[0] if quotes else passage_evidence(passage)))


def passage_entry(rank: int, passage: Passage, use: Use) -> Content:
    """Return a passage with its rank, document and score, the quotes in it highlighted."""
    quotes = _quotes(passage, use)
    head = Content.assemble(
        (f"{CITED if quotes else ' '} {rank}. {label(passage.title, 60)}", "bold"), (f"  {passage.score:.3f}", "dim")
    )
    return Content.assemble(head, "\n", _highlighted(passage, quotes), "\n")


def _quotes(passage: Passage, use: Use) -> list[Evidence]:
    """Return what the answer quotes of a passage, in its order."""
    start, end = passage.span.start, passage.span.end
    found = [
        citation.evidence
        for citation in use.citations
        if citation.evidence.span.document_id == passage.span.document_id
        and start <= citation.evidence.span.start
        and citation.evidence.span.end <= end
        and passage.text[citation.evidence.span.start - start : citation.evidence.span.end - start]
        == citation.evidence.quote
    ]
    return sorted(found, key=lambda evidence: evidence.span.start)


def _highlighted(passage: Passage, quotes: Sequence[Evidence]) -> Content:
    offset = passage.span.start
    first = quotes[0].span.start - offset if quotes else 0
    begin = max(0, first - _BEFORE_QUOTE) if first > SHOWN // 2 else 0
    stop = begin + SHOWN
    parts: list[Content | str] = ["…"] if begin else []
    place = begin
    for quote in quotes:
        start, end = max(place, quote.span.start - offset), min(stop, quote.span.end - offset)
        if start >= end:
            continue
        parts += [clean(passage.text[place:start]), Content.styled(clean(passage.text[start:end]), "bold reverse")]
        place = end
    parts.append(clean(passage.text[place:stop]))
    if stop < len(passage.text):
        parts.append("…")
    return Content.assemble(*parts)
