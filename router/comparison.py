"""Is one router really better than another? A paired test on the same questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST_QUESTIONS = 300
MOST_LOST = 0.02
"""A new router may be worse than this only with less than 2.5 % of doubt."""
_RESAMPLES = 10_000
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Comparison:
    """The accuracies of two routers on the same questions.

    Attributes:
        difference: The candidate's accuracy less the active router's.
        low: Lower end of the difference's 95 % interval, by paired bootstrap.
        high: Upper end.
    """

    questions: int
    candidate: float
    active: float
    difference: float
    low: float
    high: float

    @property
    def passes(self) -> bool:
        """Whether there are enough questions, and the candidate is not clearly worse."""
        return self.questions >= FEWEST_QUESTIONS and self.low >= -MOST_LOST

    @property
    def verdict(self) -> str:
        """What the test says, in a sentence."""
        if self.questions < FEWEST_QUESTIONS:
            return f"Only {self.questions} held-out questions; {FEWEST_QUESTIONS} are needed to judge."
        told = f"{self.difference:+.1%} ({self.low:+.1%} to {self.high:+.1%}) on {self.questions} held-out questions"
        if not self.passes:
            return f"May be worse: {told}."
        said = "Better" if self.low > 0 else "A little worse" if self.high < 0 else "Not worse"
        return f"{said}: {told}."

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        numbers = {name: round(getattr(self, name), 4) for name in ("candidate", "active", "difference", "low", "high")}
        return {"questions": self.questions, **numbers, "passes": self.passes, "verdict": self.verdict}


def compare(candidate: NDArray[np.bool_], active: NDArray[np.bool_], *, seed: int = 0) -> Comparison:
    """Compare what two routers got right, question by question.

    Args:
        candidate: Which questions the new router got right, shape (n,).
        active: The same for the router in use.
        seed: Of the bootstrap.

    Raises:
        ValueError: There are no questions.
    """
    if not len(candidate):
        raise ValueError("There are no questions to compare on.")
    paired = candidate.astype(float) - active.astype(float)
    better, worse = int((paired > 0).sum()), int((paired < 0).sum())
    # Only how many are better, equal and worse matters, so drawing the counts is drawing the questions; the larger
    # count first, and equal ones both ways, so that the comparison the other way round is the mirror image.
    more, less = max(better, worse), min(better, worse)
    shares = [share / len(paired) for share in (more, len(paired) - more - less, less)]
    counts = np.random.default_rng(seed).multinomial(len(paired), shares, _RESAMPLES)
    drawn = (counts[:, 0] - counts[:, 2]) / len(paired)
    drawn = np.concatenate([drawn, -drawn]) if more == less else drawn if better > worse else -drawn
    low, high = np.quantile(drawn, [0.025, 0.975])
    means = float(candidate.mean()), float(active.mean())
    return Comparison(len(paired), *means, float(paired.mean()), float(low), float(high))


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    if not n:
        return 0.0, 1.0
    p = right / n
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
