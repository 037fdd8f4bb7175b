"""Preference pairs from outcomes: the cheapest structure that answered rightly is preferred to those that did not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from structrag.router.preferences import PreferencePair
from structrag.types import StructureType

if TYPE_CHECKING:
    from structrag.evaluation.data import KnownQuestion
    from structrag.evaluation.lines import Line
    from structrag.router.protocol import RoutingRequest


def outcome_pairs(
    questions: Sequence[KnownQuestion],
    lines: Sequence[Line],
    request_of: Callable[[KnownQuestion], RoutingRequest],
) -> list[PreferencePair]:
    """Return for each question its best structure preferred to each that answered wrongly or not at all.

    The best is the right one that cost the fewest tokens. A right one that cost more is neither chosen nor rejected,
    and a question that all or none got right teaches nothing.

    Args:
        questions: Which to label; those without a line for each of the five structures are left out.
        lines: The latest of each question and way.
        request_of: Returns what the router is shown of a question.
    """
    by_question: dict[str, dict[str, Line]] = {}
    for line in lines:
        by_question.setdefault(line.id, {})[line.way] = line
    pairs = []
    for question in questions:
        best, wrong = _judged(question, by_question.get(question.id, {}))
        if best and wrong:
            request, source = request_of(question), f"{question.source or 'eval'}:{question.id}"
            pairs += [PreferencePair(request, best, rejected, "outcome", source) for rejected in wrong]
    return pairs


def _judged(question: KnownQuestion, lines: Mapping[str, Line]) -> tuple[StructureType | None, list[StructureType]]:
    of = {s: lines[s] for s in StructureType if s in lines and lines[s].asked == question.digest}
    if len(of) < len(StructureType):
        return None, []
    right = [structure for structure in StructureType if of[structure].correct]
    best = min(right, key=lambda s: of[s].tokens, default=None)
    return best, [structure for structure in StructureType if structure not in right]
