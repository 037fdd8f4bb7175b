"""How good a router is on labelled questions: accuracy, recall, calibration, and what it is worth to be sure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from structrag.router.calibration import calibration_error, selective_accuracy
from structrag.router.comparison import Comparison, compare, wilson
from structrag.types import StructureType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from structrag.router.policy_router import PolicyRouter
    from structrag.router.questions import LabelledQuestion

_RESAMPLES = 2_000
_TIMED = 100
COVERAGE = 0.8


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured on n questions; shares are from 0 to 1, and a structure that is ``also_ok`` counts as right.

    Attributes:
        low: Lower end of the accuracy's 95 % interval (Wilson).
        macro_f1: The mean of the five F1 values, with its 95 % bootstrap interval.
        recall: By structure, of the questions that need it.
        calibration_error: Expected, over 15 bins of equal mass.
        accuracy_at_80: Of the 80 % of routes that are most confident.
        unsure: Share of routes that are called unsure.
        hard: The accuracy on the questions marked hard; ``None`` where none is.
        milliseconds: Median of one route, warm; ``None`` where it was not timed.
        confusion: How many questions that need a structure were routed to each, by the names of both.
    """

    questions: int
    accuracy: float
    low: float
    high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    recall: Mapping[str, float]
    calibration_error: float
    accuracy_at_80: float
    unsure: float
    hard: float | None
    milliseconds: float | None = None
    confusion: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def evaluate(
    probabilities: NDArray[np.floating],
    questions: Sequence[LabelledQuestion],
    *,
    unsure_below: float = 0.0,
    milliseconds: float | None = None,
) -> Evaluation:
    """Measure routes against labels.

    Args:
        probabilities: Shape (n, 5), in the order of `StructureType`.
        questions: The n questions.
        unsure_below: From which confidence a route is sure.
        milliseconds: Median time of a route.

    Raises:
        ValueError: There are no questions.
    """
    if not questions:
        raise ValueError("There are no questions to evaluate on.")
    right = accepted(probabilities, questions)
    chosen, wanted = probabilities.argmax(axis=1), _credited(probabilities, questions)
    confidence = probabilities.max(axis=1)
    low, high = wilson(int(right.sum()), len(right))
    f1_low, f1_high = _f1_interval(chosen, wanted)
    hard = right[[question.hard for question in questions]]
    return Evaluation(
        questions=len(questions),
        accuracy=float(right.mean()),
        low=low,
        high=high,
        macro_f1=_macro_f1(chosen, wanted),
        macro_f1_low=f1_low,
        macro_f1_high=f1_high,
        recall=_recall(right, questions),
        calibration_error=calibration_error(confidence, right),
        accuracy_at_80=selective_accuracy(confidence, right, COVERAGE),
        unsure=float((confidence < unsure_below).mean()),
        hard=float(hard.mean()) if len(hard) else None,
        milliseconds=milliseconds,
        confusion=confusion(probabilities, questions),
    )


def evaluate_router(router: PolicyRouter, questions: Sequence[LabelledQuestion]) -> Evaluation:
    """Measure a trained router, its time included."""
    probabilities = router.probabilities([question.request for question in questions])
    return evaluate(
        probabilities, questions, unsure_below=router.unsure_below, milliseconds=_milliseconds(router, questions)
    )


def compare_routers(candidate: PolicyRouter, active: PolicyRouter, questions: Sequence[LabelledQuestion]) -> Comparison:
    """Compare two trained routers on the same questions.

    Raises:
        ValueError: There are no questions.
    """
    requests = [question.request for question in questions]
    return compare(*(accepted(router.probabilities(requests), questions) for router in (candidate, active)))


def accepted(probabilities: NDArray[np.floating], questions: Sequence[LabelledQuestion]) -> NDArray[np.bool_]:
    """Return for each question whether the most probable structure is right, shape (n,)."""
    structures = list(StructureType)
    chosen = probabilities.argmax(axis=1)
    return np.array([q.accepts(structures[i]) for q, i in zip(questions, chosen, strict=True)], dtype=bool)


def confusion(probabilities: NDArray[np.floating], questions: Sequence[LabelledQuestion]) -> dict[str, dict[str, int]]:
    """Return how many questions that need a structure were routed to each, by the names of both."""
    structures = list(StructureType)
    counts = {str(wanted): {str(chosen): 0 for chosen in structures} for wanted in structures}
    for question, chosen in zip(questions, probabilities.argmax(axis=1), strict=True):
        counts[str(question.structure)][str(structures[chosen])] += 1
    return counts


def _credited(probabilities: NDArray[np.floating], questions: Sequence[LabelledQuestion]) -> NDArray[np.int64]:
    """The labels, or what was chosen instead where that is right as well."""
    structures = list(StructureType)
    chosen = probabilities.argmax(axis=1)
    return np.array(
        [
            i if q.accepts(structures[i]) else structures.index(q.structure)
            for q, i in zip(questions, chosen, strict=True)
        ]
    )


def _macro_f1(chosen: NDArray[np.int64], wanted: NDArray[np.int64]) -> float:
    """The mean F1 of the structures that occur."""
    kinds = len(StructureType)
    hits = np.bincount(wanted[chosen == wanted], minlength=kinds)
    total = np.bincount(chosen, minlength=kinds) + np.bincount(wanted, minlength=kinds)
    return float((2 * hits[total > 0] / total[total > 0]).mean())


def _f1_interval(chosen: NDArray[np.int64], wanted: NDArray[np.int64]) -> tuple[float, float]:
    draws = np.random.default_rng(0).integers(len(chosen), size=(_RESAMPLES, len(chosen)))
    low, high = np.quantile([_macro_f1(chosen[draw], wanted[draw]) for draw in draws], [0.025, 0.975])
    return float(low), float(high)


def _recall(right: NDArray[np.bool_], questions: Sequence[LabelledQuestion]) -> dict[str, float]:
    shares = {}
    for structure in StructureType:
        mine = right[[question.structure is structure for question in questions]]
        if len(mine):
            shares[str(structure)] = float(mine.mean())
    return shares


def _milliseconds(router: PolicyRouter, questions: Sequence[LabelledQuestion]) -> float:
    times = []
    for question in questions[:_TIMED]:
        started = time.perf_counter()
        router.probabilities([question.request])
        times.append(1000 * (time.perf_counter() - started))
    return float(np.median(times))


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value
