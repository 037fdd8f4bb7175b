"""The right pane: how the answer came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static, TabbedContent, TabPane

from structrag.cli.text import one_line
from structrag.tui.entries import Entries
from structrag.tui.route_card import RouteCard
from structrag.tui.views.pane import StructurePane
from structrag.tui.views.view import Use, label
from structrag.types import Answer, Citation, Route, Structure, StructureType, TraceStep
from structrag.usage import Usage

if TYPE_CHECKING:
    from structrag.router.occlusion import MovingWord

QUOTE_WIDTH = 200
"""Characters of a quote in the list of citations; the rest is one Enter away."""

_STEP_WIDTH = 400
_MOST_STEPS = 80


class Evidences(Entries):
    """The citations of the answer."""

    HELP = "What the answer rests on. Enter shows where it stands in its document."


class Details(Vertical):
    """Tabs for route, structure, evidence and usage."""

    @dataclass(eq=False, repr=False)
    class CitationChosen(Message):
        """The user wants to see where this citation stands."""

        citation: Citation

    def __init__(self) -> None:
        super().__init__(id="details")
        self._citations: Sequence[Citation] = ()
        self._steps: list[str] = []

    def compose(self) -> ComposeResult:
        """Lay out the four tabs."""
        with TabbedContent(initial="route"):
            with TabPane("Route", id="route"), VerticalScroll(id="route-scroll"):
                yield RouteCard()
            with TabPane("Structure", id="structure"):
                yield StructurePane()
            with TabPane("Evidence", id="evidence"):
                yield Evidences("citations")
                yield Static("No evidence.", id="no-evidence")
            with TabPane("Usage", id="usage"), VerticalScroll(id="usage-scroll"):
                yield Static(id="spent", markup=False)
                yield Static(id="trace", markup=False)

    def on_mount(self) -> None:
        """Start with nothing to show."""
        self.clear()

    @property
    def tab(self) -> str:
        """The tab in front."""
        return self.query_one(TabbedContent).active

    @property
    def structure(self) -> StructurePane:
        """The place of the structure."""
        return self.query_one(StructurePane)

    def open(self, tab: str) -> None:
        """Bring a tab to the front."""
        self.query_one(TabbedContent).active = tab

    def clear(self) -> None:
        """Forget the last question."""
        self.query_one(RouteCard).clear()
        self.structure.clear()
        self.query_one("#spent", Static).update("")
        self._show_citations(())
        self._show_trace([])

    def show_route(self, route: Route, used: StructureType) -> None:
        """Show the route as soon as it is chosen."""
        self.query_one(RouteCard).show(route, used)

    def show_words(self, words: Sequence[MovingWord], reason: str) -> None:
        """Show the words that moved the route."""
        self.query_one(RouteCard).show_words(words, reason)

    def show_structure(self, structure: Structure) -> None:
        """Show the structure as soon as it is built."""
        self.structure.show_structure(structure)

    def add_step(self, step: TraceStep) -> None:
        """Show one more step of the trace."""
        self._show_trace([*self._steps, _step(step)])
        self.structure.add_step(step)

    def show_answer(self, answer: Answer) -> None:
        """Show all about an answer."""
        self.show_route(answer.route, answer.structure_type)
        self.structure.show_answer(answer.structure, Use(answer.trace, answer.citations))
        self._show_citations(answer.citations)
        self.query_one("#spent", Static).update(_spent(answer.usage))
        self._show_trace([_step(step) for step in answer.trace])

    def mark_citation(self, citation: Citation) -> None:
        """Mark a citation in the list of evidence."""
        self.query_one("#citations", Entries).highlighted = self._citations.index(citation)

    def _show_citations(self, citations: Sequence[Citation]) -> None:
        self._citations = citations
        shown = self.query_one("#citations", Entries)
        shown.show(_citation(citation) for citation in citations)
        shown.display = bool(citations)
        self.query_one("#no-evidence").display = not citations

    def _show_trace(self, steps: list[str]) -> None:
        self._steps = steps
        left, lines = len(steps) - _MOST_STEPS, steps[-_MOST_STEPS:]
        self.query_one("#trace", Static).update("\n".join([f"… {left:,} earlier steps", *lines] if left > 0 else lines))

    @on(OptionList.OptionSelected, "#citations")
    def _choose_citation(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.CitationChosen(self._citations[event.option_index]))


def _step(step: TraceStep) -> str:
    return label(f"{step.name}: {step.detail}", _STEP_WIDTH)


def _citation(citation: Citation) -> Content:
    place = one_line(", ".join(part for part in (citation.title, citation.locator) if part), QUOTE_WIDTH)
    return Content.assemble(
        (f"[{citation.number}] {place}\n", "bold"), f"“{label(citation.evidence.quote, QUOTE_WIDTH)}”"
    )


def _spent(usage: Usage) -> str:
    cost = [f"Cost     {usage.cost:,.4f}"] if usage.cost else []
    return "\n".join(
        (
            f"Calls    {usage.calls:,}",
            f"Cached   {usage.cached:,}",
            f"Tokens   {usage.tokens:,} ({usage.prompt_tokens:,} read, {usage.completion_tokens:,} written)",
            f"Seconds  {usage.seconds:.1f} ({usage.model_seconds:.1f} in the model)",
            *cost,
        )
    )
