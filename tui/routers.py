"""What the router screen needs of the router's versions: a protocol, so that tests need not train."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from structrag.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from structrag.router.comparison import Comparison
    from structrag.router.evaluation import Evaluation
    from structrag.router.policy_router import PolicyRouter
    from structrag.router.preferences import PreferencePair
    from structrag.router.questions import LabelledQuestion
    from structrag.router.retraining import Retraining
    from structrag.router.training_settings import StepListener
    from structrag.router.versions import RouterVersion

BINS = 10
"""Points of the reliability curve; each stands for as many routes."""
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Routes of about the same confidence.

    Attributes:
        confidence: Their mean confidence.
        accuracy: The share of them that is right.
    """

    routes: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of one version on held-out questions."""

    version: str
    evaluation: Evaluation
    reliability: tuple[ReliabilityBin, ...] = field(default=())


class Routers(Protocol):
    """The versions of the router. All methods are called from worker threads."""

    def versions(self) -> Sequence[RouterVersion]:
        """Return all versions; one is active."""
        ...

    def measure(self, version: str, progress: Callable[[tuple[int, int]], None]) -> Measurement:
        """Measure a version on the shipped held-out questions; ``progress`` is told how many of how many are done."""
        ...

    def train(self, pairs: Sequence[PreferencePair], listener: StepListener) -> Retraining:
        """Train a new version on these preferences, going on from the active one; that stays active."""
        ...

    def compare(self, version: str) -> Comparison:
        """Compare a version with the active one on held-out questions."""
        ...

    def promote(self, version: str, record: Mapping[str, Any]) -> None:
        """Put a version in use; ``record`` says why."""
        ...

    def rollback(self) -> str:
        """Go back to the version that was in use before and return its name."""
        ...


class InstalledRouters:
    """The versions that the settings of a corpus point to.

    Args:
        folder: The corpus folder.
    """

    def __init__(self, folder: Path) -> None:
        from structrag.config import load_settings
        from structrag.router.versions import VersionStore

        settings, _ = load_settings(folder.expanduser())
        self._store = VersionStore(settings.router.versions)
        self._cache = settings.models.cache

    def versions(self) -> Sequence[RouterVersion]:
        """Return all versions; one is active."""
        return self._store.versions()

    def measure(self, version: str, progress: Callable[[tuple[int, int]], None]) -> Measurement:
        """Measure a version on the shipped held-out questions that it has not learnt as corrections.

        Raises:
            RoutingError: There is no such version, or it is damaged.
        """
        from structrag.router.evaluation import evaluate
        from structrag.router.retraining import unseen

        router = self._open(version)
        questions = unseen(_held_out(), router.settings)
        probabilities = _probabilities(router, questions, progress)
        evaluation = evaluate(probabilities, questions, unsure_below=router.unsure_below)
        return Measurement(version, evaluation, reliability(probabilities, questions))

    def train(self, pairs: Sequence[PreferencePair], listener: StepListener) -> Retraining:
        """Train a new version as ``structrag router train`` does.

        Raises:
            ConfigError: There are no preferences.
            TrainingDataError: Too little is left to compare on.
            RoutingError: The active version is damaged, or the same training is under way already.
            MissingExtraError: The packages for training are not installed.
        """
        if not pairs:
            raise ConfigError("There are no preferences to train on.", hint="Correct some routes first: 1 to 5.")
        # trl's own progress bar has no other switch; it is read when tqdm is imported.
        os.environ.setdefault("TQDM_DISABLE", "1")
        from structrag.router.preferences import merge_preferences
        from structrag.router.retraining import retrain

        merged = merge_preferences(("the corpus", pair) for pair in pairs)
        return retrain(self._store, self._cache, merged.pairs, listener)

    def compare(self, version: str) -> Comparison:
        """Compare a version with the active one on the held-out questions that neither has learnt.

        Raises:
            RoutingError: One of them is damaged.
        """
        from structrag.router.evaluation import compare_routers
        from structrag.router.retraining import unseen

        new, old = self._open(version), self._open(self._store.active())
        return compare_routers(new, old, unseen(_held_out(), new.settings, old.settings))

    def promote(self, version: str, record: Mapping[str, Any]) -> None:
        """Put a version in use.

        Raises:
            RoutingError: There is no such version, or it is damaged.
        """
        self._store.promote(version, record)

    def rollback(self) -> str:
        """Go back to the version that was in use before and return its name.

        Raises:
            RoutingError: There is none, or it is gone.
        """
        return self._store.rollback()

    def _open(self, version: str) -> PolicyRouter:
        from structrag.router.policy_router import PolicyRouter

        return PolicyRouter(self._store.folder(version), self._cache)


def installed_routers(folder: Path) -> Routers:
    """Return the versions that the settings of a corpus point to.

    Raises:
        ConfigError: A setting is wrong.
    """
    return InstalledRouters(folder)


def reliability(
    probabilities: NDArray[np.floating], questions: Sequence[LabelledQuestion], *, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Return how often routes of about the same confidence are right, least confident first.

    Args:
        probabilities: Shape (n, 5), in the order of `StructureType`.
        questions: The n questions.
        bins: Of equal mass; fewer where there are fewer routes.
    """
    import numpy as np

    from structrag.router.evaluation import accepted

    confidence, right = probabilities.max(axis=1), accepted(probabilities, questions)
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    return tuple(
        ReliabilityBin(len(part), float(confidence[part].mean()), float(right[part].mean()))
        for part in parts
        if len(part)
    )


def _held_out() -> Sequence[LabelledQuestion]:
    from structrag.router.questions import shipped_questions, with_mixed_documents

    return with_mixed_documents(shipped_questions().held_out)


def _probabilities(
    router: PolicyRouter, questions: Sequence[LabelledQuestion], progress: Callable[[tuple[int, int]], None]
) -> NDArray[np.floating]:
    """Route the questions, a few at a time so that one can see how far it is, and stop it."""
    import numpy as np

    parts = []
    for start in range(0, len(questions), _AT_ONCE):
        parts.append(router.probabilities([q.request for q in questions[start : start + _AT_ONCE]]))
        progress((min(start + _AT_ONCE, len(questions)), len(questions)))
    return np.concatenate(parts)
