"""Which words moved a route: the policy is asked again without each of them (Zeiler & Fergus 2014, arXiv 1311.2901)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from structrag.router.protocol import RoutingRequest
from structrag.types import StructureType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_JOINERS = "'’.-"
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
    words = list(islice(_words(request.question), _MOST_WORDS))
    without = [replace(request, question=without_words(request.question, [span])) for span in words]
    shares = probabilities([request, *without])[:, list(StructureType).index(structure)]
    found = [
        MovingWord(request.question[start:end], start, float(shares[0] - share))
        for (start, end), share in zip(words, shares[1:], strict=True)
    ]
    return tuple(sorted(found, key=lambda word: -word.influence))


def without_words(question: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return the question without the characters in the spans, and without double spaces where they stood."""
    kept = list(question)
    for start, end in spans:
        kept[start:end] = [""] * (end - start)
    return " ".join("".join(kept).split())


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Yield where words stand: runs of letters, digits and the marks on them, joined by single joiners within."""
    start = None
    for place, character in enumerate(text):
        if _is_part(character):
            start = place if start is None else start
        elif start is not None and not (character in _JOINERS and _is_part(text[place + 1 : place + 2])):
            yield start, place
            start = None
    if start is not None:
        yield start, len(text)


def _is_part(character: str) -> bool:
    return bool(character) and (character == "_" or unicodedata.category(character)[0] in "LNM")
