"""Which words moved a route: the policy is asked again without each of them (Zeiler & Fergus 2014, arXiv 1311.2901)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from structrag.router.protocol import RoutingRequest
from structrag.types import StructureType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD = re.compile(r"\w+(?:['’.-]\w+)*")
_MOST_WORDS = 80
"""Of longer questions only the first words are tried; each costs one pass of the policy."""

Probabilities = Callable[[Sequence[RoutingRequest]], "NDArray[np.floating]"]


@dataclass(frozen=True, slots=True)
class MovingWord:
    """A word of the question.

    Attributes:
        start: Of its first character in the question.
        influence: By how much the chosen structure's probability falls without it; negative if it rises.
    """

    word: str
    start: int
    influence: float

    @property
    def end(self) -> int:
        """After its last character."""
        return self.start + len(self.word)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form that ``structrag route --why`` prints."""
        return {"word": self.word, "start": self.start, "influence": round(self.influence, 4)}


def moving_words(
    request: RoutingRequest, structure: StructureType, probabilities: Probabilities
) -> tuple[MovingWord, ...]:
    """Return the question's words, the one that spoke most for a structure first.

    Args:
        request: What was routed.
        structure: The one in question, as a rule the chosen one.
        probabilities: The router: requests in, shape (n, 5) out, in the order of `StructureType`.
    """
    words = list(_WORD.finditer(request.question))[:_MOST_WORDS]
    without = [replace(request, question=without_words(request.question, [(m.start(), m.end())])) for m in words]
    shares = probabilities([request, *without])[:, list(StructureType).index(structure)]
    found = [
        MovingWord(match.group(), match.start(), float(shares[0] - share))
        for match, share in zip(words, shares[1:], strict=True)
    ]
    return tuple(sorted(found, key=lambda word: -word.influence))


def without_words(question: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return the question without the characters in the spans, and without double spaces where they stood."""
    kept = list(question)
    for start, end in spans:
        kept[start:end] = [""] * (end - start)
    return " ".join("".join(kept).split())
