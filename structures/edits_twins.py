"""Which of several equal places an edit means: counted, since offsets move when text is put before them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from structrag.structures.edits_records import Anchor, TargetGoneError
from structrag.types import Evidence, Span


def anchor_among(evidence: Evidence, alike: Iterable[Evidence]) -> Anchor:
    """Return the anchor of an item, with its place among all that an edit of it could mean.

    Args:
        evidence: The item's own.
        alike: That of all items which cannot be told from it but by where they stand; its own may be among them.
    """
    spots = _spots([evidence, *alike])
    return replace(Anchor.at(evidence), nth=spots.index(evidence.span) + 1, of=len(spots))


def meant_span(place: Anchor, alike: Iterable[Evidence]) -> Span:
    """Return where the item stands that an anchor means: by its place among equal ones, else the nearest.

    Args:
        place: The anchor.
        alike: The evidence of all items that fit it; at least one.

    Raises:
        TargetGoneError: There are more or fewer of them than there were, or two are equally near.
    """
    spots = _spots(alike)
    if place.nth:
        if len(spots) != place.of:
            raise TargetGoneError(
                f"{len(spots)} places fit it, but {place.of} did when it was made: make the edit again at the right one"
            )
        return spots[place.nth - 1]
    nearest = min(abs(span.start - place.start) for span in spots)
    near = [span for span in spots if abs(span.start - place.start) == nearest]
    if len({span.start for span in near}) > 1:
        raise TargetGoneError("several places fit it equally well: make the edit again at the right one")
    return near[0]


def _spots(alike: Iterable[Evidence]) -> list[Span]:
    return sorted({each.span for each in alike}, key=lambda span: (span.start, span.end))
