"""The right pane: how the answer came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import ScrollableContainer, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static, TabbedContent, TabPane

from structrag.cli.text import clean, one_line
from structrag.tui.entries import Entries
from structrag.types import Answer, Citation, Route, Structure, StructureType, TraceStep
from structrag.usage import Usage

RENDER_LIMIT = 20_000
"""Characters of a structure that are shown; more would not be read and makes scrolling slow."""

QUOTE_WIDTH = 200
"""Characters of a quote in the list of citations; the rest is one Enter away."""

_BAR_CELLS = 10


class RouteCard(Static):
    """The five structures with their probabilities, and what was made of them."""

    def show(self, route: Route, used: StructureType) -> None:
        """Show the route, and the structure that was used in the end."""
        lines = [_bar(number, structure, route) for number, structure in enumerate(StructureType, start=1)]
        lines += [
            Content(""),
            Content(f"● Chosen     {route.structure} ({route.confidence:.0%})"),
            Content(f"○ Runner-up  {route.runner_up} ({route.probabilities[route.runner_up]:.0%})"),
        ]
        if used is not route.structure:
            lines.append(Content.styled(f"▶ Used       {used}", "bold"))
        if route.unsure:
            lines += [Content(""), Content.styled("The router is unsure.", "bold $text-warning")]
        lines += [
            Content(""),
            Content.styled(f"Router {one_line(route.router)}, {route.seconds * 1000:.0f} ms", "dim"),
            Content.styled("1 to 5 ask again by that structure.", "dim"),
        ]
        self.update(Content("\n").join(lines))

    def clear(self) -> None:
        """Show no route."""
        self.update(Content.styled("The route of your question will stand here.", "dim"))


def _bar(number: int, structure: StructureType, route: Route) -> Content:
    share = route.probabilities[structure]
    filled = round(share * _BAR_CELLS)
    # The marks say in any colours, and in none, what the styles say.
    mark, style = " ", ""
    if structure is route.structure:
        mark, style = "●", "bold $text-accent"
    elif structure is route.runner_up:
        mark = "○"
    bar = "█" * filled + "░" * (_BAR_CELLS - filled)
    return Content.styled(f"{mark} {number} {structure:<9} {bar} {share:>4.0%}", style)


class Details(Vertical):
    """Tabs for route, structure, evidence and usage."""

    @dataclass
    class CitationChosen(Message):
        """The user wants to see where this citation stands."""

        citation: Citation

    def __init__(self) -> None:
        super().__init__(id="details")
        self._citations: Sequence[Citation] = ()
        self._trace: list[TraceStep] = []

    def compose(self) -> ComposeResult:
        """Lay out the four tabs."""
        with TabbedContent(initial="route"):
            with TabPane("Route", id="route"), VerticalScroll(id="route-scroll"):
                yield RouteCard(id="route-card")
            with TabPane("Structure", id="structure"), ScrollableContainer(id="structure-scroll"):
                yield Static(id="structure-text", markup=False)
            with TabPane("Evidence", id="evidence"):
                yield Entries("citations")
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

    def open(self, tab: str) -> None:
        """Bring a tab to the front."""
        self.query_one(TabbedContent).active = tab

    def clear(self) -> None:
        """Forget the last question."""
        self.query_one(RouteCard).clear()
        self.query_one("#structure-text", Static).update("")
        self.query_one("#spent", Static).update("")
        self._show_citations(())
        self._show_trace([])

    def show_route(self, route: Route, used: StructureType) -> None:
        """Show the route as soon as it is chosen."""
        self.query_one(RouteCard).show(route, used)

    def show_structure(self, structure: Structure) -> None:
        """Show the structure as soon as it is built."""
        shown = self.query_one("#structure-text", Static)
        # A table reads along its rows, so it scrolls sideways; all others wrap.
        shown.set_class(structure.type is StructureType.TABLE, "-wide-lines")
        shown.update(clean(structure.render(RENDER_LIMIT)))

    def add_step(self, step: TraceStep) -> None:
        """Show one more step of the trace."""
        self._show_trace([*self._trace, step])

    def show_answer(self, answer: Answer) -> None:
        """Show all about an answer."""
        self.show_route(answer.route, answer.structure_type)
        if answer.structure is None:
            self.query_one("#structure-text", Static).update("No structure is kept for this answer.")
        else:
            self.show_structure(answer.structure)
        self._show_citations(answer.citations)
        self.query_one("#spent", Static).update(_spent(answer.usage))
        self._show_trace(list(answer.trace))

    def _show_citations(self, citations: Sequence[Citation]) -> None:
        self._citations = citations
        shown = self.query_one("#citations", Entries)
        shown.show(_citation(citation) for citation in citations)
        shown.display = bool(citations)
        self.query_one("#no-evidence").display = not citations

    def _show_trace(self, trace: list[TraceStep]) -> None:
        self._trace = trace
        lines = (clean(f"{step.name}: {step.detail}") for step in trace)
        self.query_one("#trace", Static).update("\n".join(lines))

    @on(OptionList.OptionSelected, "#citations")
    def _choose_citation(self, event: OptionList.OptionSelected) -> None:
        self.post_message(self.CitationChosen(self._citations[event.option_index]))


def _citation(citation: Citation) -> Content:
    place = one_line(", ".join(part for part in (citation.title, citation.locator) if part))
    return Content.assemble(
        (f"[{citation.number}] {place}\n", "bold"), f"“{one_line(citation.evidence.quote, QUOTE_WIDTH)}”"
    )


def _spent(usage: Usage) -> str:
    return "\n".join(
        (
            f"Calls    {usage.calls:,}",
            f"Cached   {usage.cached:,}",
            f"Tokens   {usage.tokens:,} ({usage.prompt_tokens:,} read, {usage.completion_tokens:,} written)",
            f"Seconds  {usage.seconds:.1f} ({usage.model_seconds:.1f} in the model)",
        )
    )
