"""What a router must beat, trained on the same questions: the commonest label, words, and frozen embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.router.protocol import RoutingRequest
from structrag.router.questions import LabelledQuestion
from structrag.router.template import render
from structrag.types import StructureType

Predict = Callable[[Sequence[RoutingRequest]], NDArray[np.floating]]
Train = Callable[[Sequence[LabelledQuestion]], Predict]

_STRUCTURES = list(StructureType)


def majority(questions: Sequence[LabelledQuestion]) -> Predict:
    """Always the shares of the labels in training."""
    shares = np.bincount(_labels(questions), minlength=len(_STRUCTURES)) / len(questions)
    return lambda requests: np.tile(shares, (len(requests), 1))


def words(questions: Sequence[LabelledQuestion]) -> Predict:
    """TF-IDF of words and word pairs, and a linear support vector machine with calibrated outputs."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    model = make_pipeline(vectors, CalibratedClassifierCV(LinearSVC(C=0.5)))
    model.fit([render(q.request) for q in questions], _labels(questions))
    return lambda requests: model.predict_proba([render(r) for r in requests])


def embeddings(questions: Sequence[LabelledQuestion]) -> Predict:
    """The frozen sentence encoder that the policy starts from, and logistic regression."""
    from sklearn.linear_model import LogisticRegression

    embedder = SentenceTransformerEmbedder()
    model = LogisticRegression(max_iter=2000, C=10)
    model.fit(embedder.embed([render(q.request) for q in questions]), _labels(questions))
    return lambda requests: model.predict_proba(embedder.embed([render(r) for r in requests]))


BASELINES: dict[str, Train] = {
    "majority": majority,
    "TF-IDF + SVM": words,
    "frozen encoder + logistic regression": embeddings,
}


def _labels(questions: Sequence[LabelledQuestion]) -> list[int]:
    return [_STRUCTURES.index(q.structure) for q in questions]
