"""Making confidences mean what they say: one temperature, and the confidence below which a route is unsure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TEMPERATURES = np.geomspace(0.25, 8.0, 200)
_BINS = 15


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rows as probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def fit_temperature(logits: NDArray[np.floating], accepted: NDArray[np.bool_]) -> float:
    """Return the temperature under which what is right is most likely (Guo et al. 2017, arXiv 1706.04599).

    Args:
        logits: Shape (n, 5), of questions that were not trained on.
        accepted: Shape (n, 5): which structures are right for each.
    """

    def loss(temperature: float) -> float:
        likelihood = (softmax(logits / temperature) * accepted).sum(axis=1)
        return -float(np.log(np.maximum(likelihood, 1e-12)).mean())

    return float(min(_TEMPERATURES, key=loss))


def calibration_error(confidence: NDArray[np.floating], right: NDArray[np.bool_], bins: int = _BINS) -> float:
    """Return the expected calibration error over bins of equal mass (Naeini et al. 2015)."""
    # Of equally confident routes each counts as right as all of them: their order says nothing.
    _, group, sizes = np.unique(confidence, return_inverse=True, return_counts=True)
    share = (np.bincount(group, weights=right) / sizes)[group]
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    gaps = [len(p) * abs(float(share[p].mean()) - float(confidence[p].mean())) for p in parts if len(p)]
    return sum(gaps) / max(len(confidence), 1)


def selective_accuracy(confidence: NDArray[np.floating], right: NDArray[np.bool_], coverage: float) -> float:
    """Return the accuracy of the most confident share of the routes."""
    # Of equally confident routes each counts as right as all of them: their order says nothing.
    _, group, sizes = np.unique(confidence, return_inverse=True, return_counts=True)
    share = (np.bincount(group, weights=right) / sizes)[group]
    kept = np.argsort(-confidence, kind="stable")[: max(1, round(coverage * len(confidence)))]
    return float(share[kept].mean())


def unsure_threshold(confidence: NDArray[np.floating], right: NDArray[np.bool_], *, wanted: float = 0.75) -> float:
    """Return the least confidence from which routes are right often enough.

    Routes are taken in windows of neighbouring confidence; below the lowest window of which ``wanted`` are right,
    a second opinion is worth its cost.
    """
    order = np.argsort(confidence)
    window = max(20, len(order) // 20)
    for start in range(0, max(0, len(order) - window) + 1, max(1, window // 4)):
        part = order[start : start + window]
        if right[part].mean() >= wanted:
            return float(confidence[part[0]])
    return 1.0
