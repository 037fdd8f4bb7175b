"""Answers and routes for people. Imports Rich, so it is imported when there is something to show."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from structrag.cli.text import clean, first_lines, one_line
from structrag.router.occlusion import MovingWord
from structrag.types import Answer, Citation, Route, StructureType
from structrag.usage import Usage

_BAR_CELLS = 24
_STRUCTURE_LINES = 20
_STRUCTURE_CHARACTERS = 4000
_QUOTE_CHARACTERS = 240
_MOST_WORDS, _MOST_AGAINST = 5, 2
_LEAST_INFLUENCE = 0.01
_EIGHTHS = " ▏▎▍▌▋▊▉"


class _StdoutConsole(Console):
    """A console on stdout that leaves a closed pipe to the one place that handles it."""

    def __init__(self) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def show(renderable: Text | Table) -> None:
    """Write to stdout, styled only on a terminal."""
    _StdoutConsole().print(renderable)


def heading(title: str) -> Text:
    """Return a line that starts a part of the output."""
    return Text(clean(title), style="bold")


def answer_view(answer: Answer) -> Text:
    """Return an answer with all that a reader needs to judge it: route, structure, citations, cost."""
    parts = [
        Text(clean(answer.text), style="" if answer.grounded else "yellow"),
        route_view(answer.route, answered_by=answer.structure_type),
        _structure_view(answer),
        _citations_view(answer.citations),
        Text(usage_line(answer.usage) + f" · answer {one_line(answer.id)}", style="dim"),
    ]
    return Text("\n\n").join(part for part in parts if part)


def route_view(route: Route, *, answered_by: StructureType | None = None) -> Text:
    """Return the five probabilities as bars, most probable first, under what they led to.

    Args:
        route: The route.
        answered_by: The structure that gave the answer, where that may be another than the route's.
    """
    title = Text.assemble(("Route", "bold"), f"  {route.structure}")
    if route.probabilities[route.runner_up]:
        title.append(f", runner-up {route.runner_up}")
    if route.unsure:
        title.append("; unsure", style="yellow")
    if answered_by not in (None, route.structure):
        title.append(f"; answered by {answered_by}")
    title.append(f"  ({one_line(route.router)}, {route.seconds * 1000:.0f} ms)", style="dim")
    lines = [title]
    for structure in route.ranked:
        probability = route.probabilities[structure]
        style = "bold" if structure is (answered_by or route.structure) else "dim"
        bar = _bar(probability).ljust(_BAR_CELLS)
        lines.append(Text(f"  {structure:<9} {bar} {probability:>4.0%}", style=style))
    return Text("\n").join(lines)


def words_view(words: Sequence[MovingWord]) -> Text:
    """Return the words that spoke for and against a route, with what each changed in points."""
    if not words:
        return Text("  This router does not tell which words moved it.", style="dim")
    told = [word for word in words if abs(word.influence) >= _LEAST_INFLUENCE]
    lines = [Text("Words", style="bold") + Text("  what each adds to the chosen structure's probability", style="dim")]
    speak_for = [word for word in told if word.influence > 0][:_MOST_WORDS]
    speak_against = [word for word in told if word.influence < 0][-_MOST_AGAINST:]
    for word in speak_for + speak_against:
        lines.append(Text(f"  {word.influence * 100:+5.0f} points  {one_line(word.word)}"))
    if not told:
        lines.append(Text("  no single word moves it", style="dim"))
    return Text("\n").join(lines)


def usage_line(usage: Usage) -> str:
    """Return what an answer cost, on one line."""
    return (
        f"{usage.calls} calls, {usage.cached} cached · {usage.prompt_tokens:,} tokens in, "
        f"{usage.completion_tokens:,} out · {usage.seconds:.1f} s"
    )


def summary_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a plain table of untrusted cells; the first column takes what room there is."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        table.add_column(column, no_wrap=position > 0)
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    return table


def _bar(probability: float) -> str:
    full, eighth = divmod(round(probability * _BAR_CELLS * 8), 8)
    return "█" * full + _EIGHTHS[eighth].strip()


def _structure_view(answer: Answer) -> Text:
    if answer.structure is None:
        return Text()
    rendered = first_lines(answer.structure.render(_STRUCTURE_CHARACTERS), _STRUCTURE_LINES)
    title = Text.assemble(("Structure", "bold"), f"  {answer.structure.type}\n")
    return title.append(rendered)


def _citations_view(citations: Sequence[Citation]) -> Text:
    return Text("\n").join(_citation_line(citation) for citation in citations)


def _citation_line(citation: Citation) -> Text:
    place = one_line(citation.title) + (f", {one_line(citation.locator)}" if citation.locator else "")
    quote = one_line(citation.evidence.quote, _QUOTE_CHARACTERS)
    edited = f" ({one_line(citation.evidence.edited)})" if citation.evidence.edits else ""
    return Text.assemble((f"[{citation.number}]", "bold"), f" {place}: “{quote}”", (edited, "yellow"))
