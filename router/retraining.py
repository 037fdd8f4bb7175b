"""From a person's corrections to a better router: train on them, and show what that changed.

Corrections are few, so training goes on from the version in use by DPO alone, with labelled questions mixed in that
keep it from forgetting the rest (rehearsal: Robins 1995). A fifth of many corrections is kept back to measure on.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from structrag.router.artefact import PolicySettings, read_settings, read_weights
from structrag.router.base_model import EMBEDDED
from structrag.router.evaluation import compare_routers
from structrag.router.policy_router import PolicyRouter
from structrag.router.preferences import question_hash
from structrag.router.questions import (
    LabelledQuestion,
    ShippedQuestions,
    label_pairs,
    shipped_questions,
    with_mixed_documents,
)
from structrag.router.training_settings import TrainingSettings, require_training
from structrag.router.variations import varied
from structrag.router.versions import VersionStore
from structrag.types import StructureType

if TYPE_CHECKING:
    from structrag.router.comparison import Comparison
    from structrag.router.preferences import PreferencePair
    from structrag.router.training_settings import StepListener

FULL = TrainingSettings(rank=32, sft_epochs=3, dpo_epochs=1)
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
    base_model: str | None = None,
    settings: TrainingSettings | None = None,
    questions: ShippedQuestions | None = None,
) -> Retraining:
    """Train a new version on a person's corrections and shipped questions; the version in use stays in use.

    Args:
        versions: Where versions are kept.
        cache: Where derived graphs are kept.
        corrections: What a person preferred.
        listener: Told every few steps.
        base_model: Train from scratch on this model and all shipped questions (``embedded``, or a folder), instead of
            going on from the version in use.
        settings: How to train; `FULL` or `FURTHER` by default.
        questions: Labelled questions in place of the shipped ones.

    Raises:
        TrainingDataError: There is nothing to train on, or too little is left to compare on.
        RoutingError: The version in use is damaged, or the same training is under way already.
        MissingExtraError: The packages for training are not installed.
    """
    require_training()
    from structrag.router.fitting import fit

    shipped = questions or shipped_questions()
    active = versions.folder(versions.active())
    before = read_settings(active)
    read_weights(active, before)  # a damaged one is found out now, not after the training
    trained, kept_back = _split(corrections, frozenset(before.corrections))
    pairs, held = _material(shipped, trained, before, fresh=base_model is not None)
    how = settings or (FULL if base_model else FURTHER)
    start = None if base_model else active
    folder = fit(pairs, held, versions.home, how, listener, start=start, base_model=base_model or EMBEDDED)
    new, old = PolicyRouter(folder, cache), PolicyRouter(active, cache)
    agreed = [agreement(router, kept_back) for router in (old, new)]
    return Retraining(folder, compare_routers(new, old, held), len(kept_back), *agreed)


def _material(
    shipped: ShippedQuestions, corrections: Sequence[PreferencePair], before: PolicySettings, *, fresh: bool
) -> tuple[list[PreferencePair], list[LabelledQuestion]]:
    """Return the pairs to train on and the questions to measure on."""
    rehearsed = varied(with_mixed_documents(shipped.training))
    if not fresh:
        rehearsed = Random(0).sample(rehearsed, min(_REHEARSED, len(rehearsed)))
    pairs = [*label_pairs(rehearsed, each=1), *corrections]
    asked = {question_hash(pair.request.question) for pair in pairs}
    return pairs, unseen(with_mixed_documents(shipped.held_out), before, also=asked)


def unseen(
    questions: Sequence[LabelledQuestion], *settings: PolicySettings, also: Set[str] = frozenset()
) -> list[LabelledQuestion]:
    """Return the questions that none of these versions was trained on as corrections.

    Args:
        questions: Labelled questions.
        settings: Of the versions.
        also: Hashes of further questions to leave out.
    """
    seen = {*also, *(known for each in settings for known in each.corrections)}
    return [question for question in questions if question_hash(question.request.question) not in seen]


def agreement(router: PolicyRouter, pairs: Sequence[PreferencePair]) -> int:
    """Return for how many pairs the router finds the preferred structure likelier than the rejected one."""
    structures = list(StructureType)
    shares = router.probabilities([pair.request for pair in pairs])
    return sum(
        bool(share[structures.index(pair.chosen)] > share[structures.index(pair.rejected)])
        for pair, share in zip(pairs, shares, strict=True)
    )


def _split(corrections: Sequence[PreferencePair], known: Set[str]) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """Keep about a fifth back if there are many; a question stays on its side however often it is given again.

    Args:
        corrections: All of them.
        known: Hashes of questions that the version in use was trained on: nothing can be measured on those.
    """
    if len(corrections) < _FEWEST_TO_SPLIT:
        return list(corrections), []
    trained: list[PreferencePair] = []
    kept_back: list[PreferencePair] = []
    for pair in corrections:
        digest = question_hash(pair.request.question)
        is_kept_back = int(digest, 16) % _KEPT_BACK == 0 and digest not in known
        (kept_back if is_kept_back else trained).append(pair)
    return trained, kept_back
