"""The route: five structures with their probabilities, what was made of them, and the words that moved them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from structrag.cli.text import one_line
from structrag.tui.jobs import CHOSEN_BY_HAND
from structrag.types import Route, StructureType

if TYPE_CHECKING:
    from structrag.router.occlusion import MovingWord

LOW_CONFIDENCE = 0.5
"""A structure that is less probable than all others together is said to be no more than a guess."""

_BAR_CELLS = 10
_MOST_WORDS = 5
_MOST_AGAINST = 2
_LEAST_INFLUENCE = 0.005
"""Words that move the probability less than this show as 0%, so they are left out."""
_WORD_WIDTH = 20


class RouteCard(Static):
    """Shows a route, and then the words that moved it."""

    def __init__(self) -> None:
        super().__init__(id="route-card")
        self._lines: list[Content] = []

    def show(self, route: Route, used: StructureType) -> None:
        """Show the route, and the structure that was used in the end."""
        self._lines = _lines(route, used)
        self.update(Content("\n").join(self._lines))

    def show_words(self, words: Sequence[MovingWord], reason: str = "") -> None:
        """Show which words moved the route, or why that is not known."""
        self.update(Content("\n").join([*self._lines, Content(""), *_words(words, reason)]))

    def clear(self) -> None:
        """Show no route."""
        self._lines = []
        self.update(Content.styled("The route of your question will stand here.", "dim"))


def is_low(route: Route) -> bool:
    """Whether the chosen structure is less probable than all others together."""
    return route.confidence < LOW_CONFIDENCE


def is_chosen_by_hand(route: Route) -> bool:
    """Whether the user chose the structure, and no router."""
    return route.router.startswith(CHOSEN_BY_HAND)


def _lines(route: Route, used: StructureType) -> list[Content]:
    lines = [_bar(number, structure, route) for number, structure in enumerate(StructureType, start=1)]
    if is_chosen_by_hand(route):
        return [*lines, Content(""), Content(f"● You chose  {route.structure}")]
    lines += [
        Content(""),
        Content(f"● Chosen     {route.structure} ({route.confidence:.0%})"),
        Content(f"○ Runner-up  {route.runner_up} ({route.probabilities[route.runner_up]:.0%})"),
    ]
    if used is not route.structure:
        lines.append(Content.styled(f"▶ Used       {used}", "bold"))
    if route.unsure:
        lines += [Content(""), Content.styled("The router is unsure.", "bold $text-warning")]
    if is_low(route):
        other = list(StructureType).index(route.runner_up) + 1
        lines.append(Content.styled(f"Low confidence; {other} tries {route.runner_up}.", "$text-warning"))
    return [
        *lines,
        Content(""),
        Content.styled(f"Router {one_line(route.router, 40)}, {route.seconds * 1000:.0f} ms", "dim"),
        Content.styled("1 to 5 ask again by that structure.", "dim"),
    ]


def _bar(number: int, structure: StructureType, route: Route) -> Content:
    share = route.probabilities[structure]
    filled = round(share * _BAR_CELLS)
    # The marks say in any colours, and in none, what the styles say.
    mark, style = " ", ""
    if structure is route.structure:
        mark, style = "●", "bold $text-accent"
    elif structure is route.runner_up and not is_chosen_by_hand(route):
        mark = "○"
    bar = "█" * filled + "░" * (_BAR_CELLS - filled)
    return Content.styled(f"{mark} {number} {structure:<9} {bar} {share:>4.0%}", style)


def _words(words: Sequence[MovingWord], reason: str) -> list[Content]:
    speaking_for = [word for word in words if word.influence >= _LEAST_INFLUENCE][:_MOST_WORDS]
    against = [word for word in reversed(words) if word.influence <= -_LEAST_INFLUENCE][:_MOST_AGAINST]
    if not speaking_for and not against:
        told = reason or "No single word: the question as a whole."
        return [Content.styled("Words that moved it", "dim"), Content.styled(f"  {one_line(told, 120)}", "dim")]
    lines = [Content("Words that moved it")]
    lines += [_word(word) for word in (*speaking_for, *against)]
    return lines


def _word(word: MovingWord) -> Content:
    style = "$text-success" if word.influence > 0 else "$text-error"
    return Content.assemble((f"  {word.influence:+5.0%}  ", style), one_line(word.word, _WORD_WIDTH))
