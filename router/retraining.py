"""From a person's corrections to a better router: train on them, and show what that changed.

Corrections are few, so training goes on from the version in use by DPO alone, with labelled questions mixed in that
keep it from forgetting the rest (rehearsal: Robins 1995). A fifth of many corrections is kept back to measure on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from structrag.router.evaluation import compare_routers
from structrag.router.policy_router import PolicyRouter
from structrag.router.questions import ShippedQuestions, label_pairs, shipped_questions, with_mixed_documents
from structrag.router.training import TrainingSettings
from structrag.router.versions import VersionStore
from structrag.types import StructureType

if TYPE_CHECKING:
    from structrag.router.comparison import Comparison
    from structrag.router.preferences import PreferencePair
    from structrag.router.training import StepListener

FULL = TrainingSettings(rank=32, sft_epochs=2, dpo_epochs=1)
"""For a training from scratch."""
FURTHER = TrainingSettings(sft_epochs=0, dpo_epochs=2, dpo_share=0.5)
"""For going on from the version in use, whose rank it takes over."""
_REHEARSED = 600
_FEWEST_TO_SPLIT = 50
_KEPT_BACK = 5
"""One in so many corrections is measured on and not trained on."""


@dataclass(frozen=True, slots=True)
class Retraining:
    """A new version, not in use yet, and what it changed.

    Attributes:
        comparison: With the version in use, on held-out questions that come with the package.
        corrections: How many corrections were kept back.
        agreed_before: On how many of them the version in use found the preferred structure the likelier one.
        agreed_after: On how many of them the new version does.
    """

    folder: Path
    comparison: Comparison
    corrections: int
    agreed_before: int
    agreed_after: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        kept_back = {"n": self.corrections, "agreed_before": self.agreed_before, "agreed_after": self.agreed_after}
        return {
            "version": self.folder.name,
            "folder": str(self.folder),
            "comparison": self.comparison.to_dict(),
            "kept_back": kept_back,
        }


def retrain(
    versions: VersionStore,
    cache: Path,
    corrections: Sequence[PreferencePair],
    listener: StepListener = lambda step: None,
    *,
    fresh: bool = False,
    settings: TrainingSettings | None = None,
    questions: ShippedQuestions | None = None,
) -> Retraining:
    """Train a new version on the shipped questions and a person's corrections; the version in use stays in use.

    Args:
        versions: Where versions are kept.
        cache: Where derived graphs are kept.
        corrections: What a person preferred.
        listener: Told every few steps.
        fresh: Train from scratch on everything instead of going on from the version in use.
        settings: How to train; `FULL` or `FURTHER` by default.
        questions: Labelled questions in place of the shipped ones.

    Raises:
        TrainingDataError: There is nothing to train on, or too little is left to compare on.
        RoutingError: The version in use is damaged, or the same training is under way already.
        MissingExtraError: The packages for training are not installed.
    """
    from structrag.router.fitting import fit

    shipped = questions or shipped_questions()
    trained, kept_back = _split(corrections)
    rehearsed = with_mixed_documents(shipped.training)
    if not fresh:
        rehearsed = Random(0).sample(rehearsed, min(_REHEARSED, len(rehearsed)))
    pairs = [*label_pairs(rehearsed, each=1), *trained]
    asked = {pair.request.question.casefold() for pair in pairs}
    held = [question for question in shipped.held_out if question.request.question.casefold() not in asked]
    active = versions.folder(versions.active())
    start = None if fresh else active
    folder = fit(pairs, held, versions.home, settings or (FULL if fresh else FURTHER), listener, start=start)
    new, old = PolicyRouter(folder, cache), PolicyRouter(active, cache)
    return Retraining(
        folder=folder,
        comparison=compare_routers(new, old, held),
        corrections=len(kept_back),
        agreed_before=agreement(old, kept_back),
        agreed_after=agreement(new, kept_back),
    )


def agreement(router: PolicyRouter, pairs: Sequence[PreferencePair]) -> int:
    """Return for how many pairs the router finds the preferred structure likelier than the rejected one."""
    structures = list(StructureType)
    shares = router.probabilities([pair.request for pair in pairs])
    return sum(
        bool(share[structures.index(pair.chosen)] > share[structures.index(pair.rejected)])
        for pair, share in zip(pairs, shares, strict=True)
    )


def _split(corrections: Sequence[PreferencePair]) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Keep a fifth back if there are many; a question stays on its side however often it is given again."""
    if len(corrections) < _FEWEST_TO_SPLIT:
        return list(corrections), []
    trained: list[PreferencePair] = []
    kept_back: list[PreferencePair] = []
    for pair in corrections:
        digest = hashlib.sha256(pair.request.question.casefold().encode()).digest()
        (kept_back if digest[0] % _KEPT_BACK == 0 else trained).append(pair)
    return trained, kept_back
